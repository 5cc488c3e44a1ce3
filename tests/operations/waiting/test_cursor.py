"""The wait cursor: nothing is missed and nothing is repeated, on any replica."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clock import ManualClock
from tests.conftest import Connect
from tests.fake_session import FakeSession
from tests.operations.waiting.conversations import (
    devin_messages_of,
    messages_of,
    time_passing,
    wait,
)
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("api")


async def test_cursor_returns_each_change_once(connect: Connect, manual_clock: ManualClock) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        first = await wait(client, manual_clock, 8, 8, session_ids=[session_id])
        again = await wait(client, manual_clock, session_ids=[session_id], cursor=first["cursor"])
        assert (again["sessions"][0].get("messages"), again["sessions"][0]["changed"]) == (None, [])
        assert again["timed_out"] is False, "an idle session does not change by itself"
        await client.ok("send_message", session_id=session_id, message="strict")
        last = await wait(
            client,
            manual_clock,
            8,
            session_ids=[session_id.removeprefix("devin-")],
            cursor=again["cursor"],
        )
    assert len(devin_messages_of(last)) == 1
    assert set(last["sessions"][0]["changed"]) == {"phase", "messages", "pull_requests"}
    assert len(first["cursor"]) <= 16


async def test_cursor_is_valid_after_a_restart(connect: Connect, manual_clock: ManualClock) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        first = await wait(client, manual_clock, 8, 8, session_ids=[session_id])
    async with connect(manual_clock=manual_clock) as client:
        second = await wait(client, manual_clock, session_ids=[session_id], cursor=first["cursor"])
    assert second["sessions"][0]["changed"] == []


async def test_malformed_cursor_is_refused(connect: Connect) -> None:
    async with connect() as client:
        for cursor in ("x", "....", "A" * 13 + ".B", "AAAAAAAAAzAAA"):
            assert "cursor is not one" in await client.error(
                "wait_for_sessions", session_ids=["devin-1"], cursor=cursor
            )


async def test_cursor_keeps_the_sessions_not_waited_for(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:quick") for _ in range(2)]
        both = await wait(client, manual_clock, 8, 8, session_ids=ids, until="all")
        arguments = {"session_ids": ids[:1], "cursor": both["cursor"], "max_wait_s": 1}
        first = await wait(client, manual_clock, 8, **arguments)
        arguments = {"session_ids": ids, "cursor": first["cursor"], "max_wait_s": 1}
        again = await wait(client, manual_clock, 8, **arguments)
    assert devin_messages_of(both, 0)
    assert devin_messages_of(both, 1)
    assert not devin_messages_of(again, 0)
    assert not devin_messages_of(again, 1)
    assert len(again["cursor"]) <= 2 * 16


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.sampled_from(["devin", "hide", "show", "wait", "user", "block", "work"]),
        min_size=3,
        max_size=14,
    )
)
async def test_waits_return_every_message_once_and_in_order(
    connect: Connect, upstream: Upstream, steps: list[str]
) -> None:
    session = FakeSession(f"devin-{uuid4().hex}", "blocked").at(upstream)
    manual_clock = ManualClock()
    received: list[str] = []
    cursor = None
    async with (
        connect(manual_clock=manual_clock) as client,
        time_passing(manual_clock, 2),
    ):
        for step in [*steps, "show", "block", "devin", "wait", "wait"]:
            match step:
                case "devin":
                    session.devin_says(f"m{len(session.messages)}")
                case "user":
                    session.user_says(f"m{len(session.messages)}")
                case "hide" | "show":
                    session.visible_count = 0 if step == "hide" else None
                case "block" | "work":
                    session.status_enum = "blocked" if step == "block" else "working"
                case "wait":
                    result = await client.ok(
                        "wait_for_sessions",
                        session_ids=[session.session_id],
                        max_wait_s=1,
                        cursor=cursor,
                    )
                    cursor = result["cursor"]
                    received += messages_of(result)
    assert received == [message["message"] for message in session.messages]
