"""One poller for each key and session, however many wait for it or watch it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from devin_mcp.keys import DevinApi
from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, Logs, eventually
from tests.fake_session import POLL, FakeSession, lose_sight, polled_ids
from tests.notification_recorder import NotificationRecorder, subscribe
from tests.server.callers import two_callers
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("api")


def working(upstream: Upstream, count: int) -> list[str]:
    """The URIs of so many sessions that work: devin-0, devin-1 and so on."""
    for number in range(count):
        FakeSession(f"devin-{number}").at(upstream, times=5)
    return [f"devin://sessions/devin-{number}" for number in range(count)]


async def test_many_waiters_share_one_poller_per_session(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:forever") for _ in range(16)]
        before = len(upstream.requests)
        waits = asyncio.gather(
            *(client.ok("wait_for_sessions", session_ids=ids, max_wait_s=20) for _ in range(200))
        )
        results = await advance_during(manual_clock, waits, 7, 7, 7, until_asleep=16 + 200)
    assert all(result["timed_out"] for result in results)
    assert len({result["cursor"] for result in results}) == 1
    assert len(results[0]["cursor"]) <= 16 * 16
    assert len(upstream.requests) - before <= 16 * 5


async def test_watchers_share_one_poller_that_ends_with_them(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        recorders = [NotificationRecorder() for _ in range(5)]
        before = len(upstream.requests)
        async with anyio.create_task_group() as group:
            end = anyio.Event()

            async def watch_until_done(recorder: NotificationRecorder, uri: str) -> None:
                async with subscribe(client, recorder, "auto", uri):
                    await end.wait()

            for recorder in recorders:
                group.start_soon(watch_until_done, recorder, f"devin://sessions/{session_id}")
            await manual_clock.advance(2)
            assert manual_clock.sleepers == 1
            await manual_clock.advance(6)
            for recorder in recorders:
                await recorder.expect(f"devin://sessions/{session_id}")
            end.set()
        await manual_clock.wait_for_sleepers(0)
        polls = upstream.count("GET", POLL)
        messages = len(upstream.sent("list_messages"))
        assert polls + messages == len(upstream.requests) - before
        assert polls <= 4


async def test_listening_without_a_session_sends_no_request(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        for uris in ((), ("devin://playbooks",)):
            async with subscribe(client, NotificationRecorder(), "auto", *uris):
                await anyio.sleep(0.05)  # nothing is polled
    assert upstream.requests == []


async def test_unsubscribing_at_once_leaves_no_poller(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        bare_id = session_id.removeprefix("devin-")
        async with subscribe(client, NotificationRecorder(), "auto", f"devin://sessions/{bare_id}"):
            pass
        async with subscribe(client, NotificationRecorder(), "auto"):
            await anyio.sleep(0.05)  # nothing is polled
            assert manual_clock.sleepers == 0
    assert upstream.count("GET") - len(upstream.sent("get_self")) <= 1


async def test_watched_sessions_are_limited_to_60(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, logs: Any
) -> None:
    uris = working(upstream, 150)
    FakeSession("devin-200", "expired").at(upstream)
    async with (
        connect(manual_clock=manual_clock) as client,
        subscribe(client, NotificationRecorder(), "auto", *uris),
    ):
        await manual_clock.wait_for_sleepers(60)
        await anyio.sleep(0.1)  # no further session is polled
        assert manual_clock.sleepers == 60
        # slots for waits are reserved
        result = await client.ok("wait_for_sessions", session_ids=["devin-200"], max_wait_s=1)
        assert result["sessions"][0]["phase"] == "ended"
    assert [line["not_watched"] for line in logs() if line["event"] == "too_many_watches"] == [90]


async def test_free_slot_goes_to_a_session_that_was_left_out(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    uris = working(upstream, 61)
    upstream.fake_sessions["devin-7"].status_enum = "expired"
    async with (
        connect(manual_clock=manual_clock) as client,
        subscribe(client, NotificationRecorder(), "auto", *uris),
    ):
        await eventually(lambda: "devin-60" in polled_ids(upstream))
        assert manual_clock.sleepers <= 60


async def test_new_watch_starts_an_ended_poller_again(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, logs: Logs
) -> None:
    lose_sight(upstream, 1)
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        uri = f"devin://sessions/{session_id}"
        async with subscribe(client, NotificationRecorder(), "auto", uri):
            await eventually(lambda: any(line.get("method") == "watch" for line in logs()))
            assert manual_clock.sleepers == 0
            async with subscribe(client, NotificationRecorder(), "auto", uri):
                await manual_clock.wait_for_sleepers(1)


async def test_each_key_has_its_own_poller(
    upstream: Upstream, manual_clock: ManualClock, api: DevinApi
) -> None:
    notifications, other_notifications = NotificationRecorder(), NotificationRecorder()
    async with two_callers(upstream, manual_clock, api) as (first, second):
        session_id = await first.create_session()
        uri = f"devin://sessions/{session_id}"
        async with (
            subscribe(first, notifications, "auto", uri),
            subscribe(second, other_notifications, "auto", uri),
        ):
            await manual_clock.advance(2)
            await manual_clock.advance(6)
            await notifications.expect(uri)
            await other_notifications.expect()  # to this key the session does not exist
        await manual_clock.wait_for_sleepers(0)  # both have unsubscribed
