"""The final message of a turn can become readable 60 s after the status changes (v1.md §3.6)."""

from __future__ import annotations

import asyncio

import pytest

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect
from tests.fake_session import FakeSession
from tests.operations.waiting.conversations import (
    devin_messages_of,
    message,
    messages_of,
    wait,
)
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("api")


@pytest.mark.parametrize("types", [["devin_message", "user_message"], ["initial_user_message"]])
async def test_turn_without_a_final_message_ends_the_wait_early(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, types: list[str]
) -> None:
    messages = [
        {"type": kind, "event_id": f"e{number}", "message": "x"}
        for number, kind in enumerate(types)
    ]
    FakeSession(status_enum="finished", messages=messages).at(upstream)
    async with connect(manual_clock=manual_clock) as client:
        result = await wait(client, manual_clock, 7, 7, session_ids=["devin-1"])
    assert result["timed_out"] is False
    assert "still at work" not in result["next"]


async def test_wait_lasts_until_the_final_message_is_readable(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    prompt, question = message(0, "p", "initial_user"), message(1, "Which?")
    FakeSession().at(upstream).then(
        {},
        {"status_enum": "blocked", "messages": [prompt]},
        {"messages": [prompt, question]},
    )
    async with connect(manual_clock=manual_clock) as client:
        result = await wait(client, manual_clock, 7, 7, 7, session_ids=["devin-1"])
    assert devin_messages_of(result) == ["Which?"]


async def test_message_read_while_working_is_not_the_final_message(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """v1 says blocked before the final message is readable, even if earlier ones were."""
    session = FakeSession().at(upstream)
    session.devin_says("I am reading the code.")
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(client.ok("wait_for_sessions", session_ids=["devin-1"]))
        await manual_clock.wait_for_sleepers(2)
        session.status_enum = "blocked"
        await manual_clock.advance(7, until_asleep=2)
        await manual_clock.wait_for_sleepers(2)  # the poller has read it, and sleeps again
        assert not waiting.done()
        session.devin_says("Strict or lenient?")
        result = await advance_during(manual_clock, waiting, 7, until_asleep=2)
    assert messages_of(result) == ["I am reading the code.", "Strict or lenient?"]


async def test_wait_ends_soon_when_no_later_message_follows(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession().at(upstream)
    session.devin_says("Which?")
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(client.ok("wait_for_sessions", session_ids=["devin-1"]))
        await manual_clock.wait_for_sleepers(2)
        session.status_enum = "blocked"
        result = await advance_during(manual_clock, waiting, 6, 6, 6, until_asleep=2)
    assert (messages_of(result), result["timed_out"]) == (["Which?"], False)


async def test_wait_with_cursor_allows_for_a_late_final_message(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """The cursor says that the session was working, so its turn may have ended a moment ago."""
    session = FakeSession().at(upstream)
    session.user_says("Fix it")
    async with connect(manual_clock=manual_clock) as client:
        first = await wait(client, manual_clock, 2, max_wait_s=1)
        session.status_enum = "blocked"
        waiting = asyncio.ensure_future(
            client.ok("wait_for_sessions", session_ids=["devin-1"], cursor=first["cursor"])
        )
        for _ in range(4):
            await manual_clock.advance(6, until_asleep=2)
        assert not waiting.done()
        session.devin_says("Fixed.")
        result = await advance_during(manual_clock, waiting, 6, until_asleep=2)
    assert messages_of(result) == ["Fixed."]
