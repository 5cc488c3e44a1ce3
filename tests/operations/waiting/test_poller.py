"""The poller of one session: its intervals, its errors, and which changes it notifies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from devin_mcp.operations.waiting.poller import MAX_REFUSALS
from tests.clock import ManualClock
from tests.conftest import Connect, eventually
from tests.fake_session import POLL, FakeSession, lose_sight
from tests.notification_recorder import NotificationRecorder, subscribe
from tests.operations.waiting.conversations import skip
from tests.upstream import Upstream, answer, delay_work, page

pytestmark = pytest.mark.usefixtures("api")


async def test_poll_interval_grows_while_nothing_changes(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        async with subscribe(
            client, NotificationRecorder(), "auto", f"devin://sessions/{session_id}"
        ):
            for _ in range(12):
                await manual_clock.advance(70)
    intervals = manual_clock.waits
    assert max(intervals[:2]) <= 6
    assert max(intervals) <= 72
    assert min(intervals[-2:]) >= 48, "an idle session is polled once a minute"
    assert max(intervals[-3:]) - min(intervals[-3:]) > 0.001, "with jitter"


async def test_errors_lengthen_the_poll_interval_and_do_not_end_it(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, logs: Any
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        notifications = NotificationRecorder()
        async with subscribe(client, notifications, "auto", f"devin://sessions/{session_id}"):
            await manual_clock.advance(1)
            upstream.fail(
                "GET",
                POLL,
                answer(500),
                answer(200, b"<html>"),
                answer(500),
                answer(429, {"detail": "x"}, retry_after="40"),
            )
            for _ in range(5):
                await manual_clock.advance(75)
            await notifications.expect(f"devin://sessions/{session_id}")
    assert sorted(manual_clock.waits[1:5]) == manual_clock.waits[1:5]
    watch = [line for line in logs() if line.get("method") == "watch"]
    assert [
        (line["outcome"], line["devin_session_id"], line["attempts"] > 5) for line in watch
    ] == [("ok", session_id, True)]
    attempts = [
        line
        for line in logs()
        if line["event"] == "api_request" and line["call_id"] == watch[0]["call_id"]
    ]
    assert len(attempts) == watch[0]["attempts"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_session_refused_at_the_first_poll_is_not_polled_again(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, status: int, logs: Any
) -> None:
    upstream.fail("GET", POLL, answer(status, {"detail": "x"}))
    async with (
        connect(manual_clock=manual_clock) as client,
        subscribe(client, NotificationRecorder(), "auto", "devin://sessions/devin-x"),
    ):
        await eventually(lambda: any(line.get("method") == "watch" for line in logs()))
        assert manual_clock.sleepers == 0, "no further poll is scheduled"
    assert upstream.count("GET", POLL) == 1
    assert [line["outcome"] for line in logs() if line.get("method") == "watch"] == ["tool_error"]


async def test_change_before_the_first_successful_poll_is_notified(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    notifications = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        skip(manual_clock, 4)
        upstream.fail("GET", POLL, answer(500))
        async with subscribe(client, notifications, "auto", f"devin://sessions/{session_id}"):
            await manual_clock.wait_for_sleepers(1)
            await client.ok("send_message", session_id=session_id, message="m")
            # one for the write, one for what the first successful poll found
            await notifications.expect(*[f"devin://sessions/{session_id}"] * 2)


@pytest.mark.parametrize("status", [400, 408, 409, 422, 425])
async def test_transient_refusal_does_not_end_polling(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, status: int
) -> None:
    notifications = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        async with subscribe(client, notifications, "auto", f"devin://sessions/{session_id}"):
            await manual_clock.wait_for_sleepers(1)
            upstream.fail("GET", POLL, answer(status, {"detail": "x"}))
            await manual_clock.advance(7)
            await manual_clock.advance(20)
            await notifications.expect(f"devin://sessions/{session_id}")


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_single_refusal_is_notified_and_does_not_end_polling(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, status: int
) -> None:
    notifications = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        async with subscribe(client, notifications, "auto", f"devin://sessions/{session_id}"):
            await manual_clock.wait_for_sleepers(1)
            upstream.fail("GET", POLL, answer(status, {"detail": "x"}))
            await manual_clock.advance(7)
            await notifications.expect(f"devin://sessions/{session_id}")
            await manual_clock.advance(20)
            # it is readable again, and its phase is now waiting
            await notifications.expect(f"devin://sessions/{session_id}")


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_web_pages_are_no_refusal_and_do_not_end_polling(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, status: int
) -> None:
    """Neither at the first poll nor later, however many follow each other."""
    notifications = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        upstream.fail("GET", POLL, page(status))
        async with subscribe(client, notifications, "auto", f"devin://sessions/{session_id}"):
            await manual_clock.advance(75)
            await notifications.expect(f"devin://sessions/{session_id}")
            upstream.fail("GET", POLL, *[page(status)] * (MAX_REFUSALS + 1))
            for _ in range(MAX_REFUSALS + 1):
                await manual_clock.advance(75)
            await notifications.expect()
            polls = upstream.count("GET", POLL)
            await manual_clock.advance(75)
            await upstream.wait_for("GET", POLL, polls + 1)


async def test_three_refusals_in_a_row_end_polling(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    notifications = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        async with subscribe(client, notifications, "auto", f"devin://sessions/{session_id}"):
            await manual_clock.wait_for_sleepers(1)
            lose_sight(upstream, 3)
            for _ in range(3):
                await manual_clock.advance(70)
            await manual_clock.wait_for_sleepers(0)
            await notifications.expect(f"devin://sessions/{session_id}")


async def test_terminated_session_that_is_unreadable_is_notified(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """It was terminated through this server, but no poll can show it any more."""
    notifications = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        async with subscribe(
            client, notifications, "auto", f"devin://sessions/{session_id}", "devin://sessions"
        ):
            await manual_clock.wait_for_sleepers(1)
            lose_sight(upstream, 9)
            await client.ok("terminate_session", session_id=session_id)
            await notifications.expect(f"devin://sessions/{session_id}", "devin://sessions")


async def test_change_during_a_slow_first_poll_is_notified(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    notifications, gate = NotificationRecorder(), asyncio.Event()
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        upstream.fail("GET", POLL, delay_work(gate))
        async with subscribe(client, notifications, "auto", f"devin://sessions/{session_id}"):
            await upstream.wait_for("GET", POLL)
            assert "starting" in await client.read(f"devin://sessions/{session_id}")
            skip(manual_clock, 6)
            gate.set()
            await notifications.expect(f"devin://sessions/{session_id}")


async def test_message_that_vanishes_and_returns_is_notified_once(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    messages = [{"type": "devin_message", "event_id": name, "message": "m"} for name in "abc"]
    FakeSession(messages=messages).at(upstream).then(
        *({"visible_count": count} for count in (1, 2, 0, 2, 3))
    )
    notifications, uri = NotificationRecorder(), "devin://sessions/devin-1"
    async with (
        connect(manual_clock=manual_clock) as client,
        subscribe(client, notifications, "auto", uri, "devin://sessions"),
    ):
        await manual_clock.advance(7)
        await notifications.expect(
            uri
        )  # message b; the index, which shows no messages, is the same
        for _ in range(2):
            await manual_clock.advance(30)
        await notifications.expect()
        await manual_clock.advance(30)
        await notifications.expect(uri)  # message c
        assert upstream.count("GET", POLL) == 5
