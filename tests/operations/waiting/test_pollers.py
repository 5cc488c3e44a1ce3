"""One poller for each key and session, however many wait for it or watch it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from tests.clock import ManualClock
from tests.conftest import Connect, ToolClient, settings_for
from tests.http_client import deployed, visiting
from tests.notification_recorder import NotificationRecorder, watching
from tests.upstream import KEY, Upstream, answer

OTHER = "apk_user_other_9876543210"


SAID = [{"type": "devin_message", "event_id": "e", "message": "Done."}]


@asynccontextmanager
async def two_callers(
    upstream: Upstream, manual_clock: ManualClock
) -> AsyncIterator[tuple[ToolClient, ToolClient]]:
    """Two clients with keys of their own on one server, over real HTTP."""
    async with (
        deployed(settings_for(upstream, auth="caller-key"), clock=manual_clock) as url,
        visiting(url, {"x-devin-api-key": KEY}) as me,
        visiting(url, {"x-devin-api-key": OTHER}) as you,
    ):
        yield me, you


async def test_many_waiters_share_one_poller_per_session(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:forever") for _ in range(16)]
        before = len(upstream.requests)
        waits = [
            asyncio.ensure_future(client.ok("wait_for_sessions", session_ids=ids, max_wait_s=20))
            for _ in range(200)
        ]
        await manual_clock.asleep(16 + 200)
        for step in (7, 7, 7):
            await manual_clock.advance(step, until_asleep=16 + 200)
            await anyio.sleep(0.3)
        results = await asyncio.gather(*waits)
    assert all(result["timed_out"] for result in results)
    assert len({result["cursor"] for result in results}) == 1
    assert len(results[0]["cursor"]) <= 16 * 16
    assert len(upstream.requests) - before <= 16 * 5


async def test_watchers_share_one_poller_that_ends_with_them(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        bare = session_id.removeprefix("devin-")
        recorders = [NotificationRecorder() for _ in range(5)]
        before = len(upstream.requests)
        async with anyio.create_task_group() as group:
            done = anyio.Event()

            async def watch_until_done(recorder: NotificationRecorder, uri: str) -> None:
                async with watching(client, recorder, "auto", uri):
                    await done.wait()

            for recorder in recorders:
                group.start_soon(watch_until_done, recorder, f"devin://sessions/{session_id}")
            await manual_clock.advance(2)
            assert manual_clock.sleepers == 1
            await manual_clock.advance(6)
            for recorder in recorders:
                await recorder.hears(f"devin://sessions/{session_id}")
            done.set()
        await manual_clock.asleep(0)
        polls = upstream.count("GET", "/v1/sessions/.*")
        assert polls == len(upstream.requests) - before <= 4
        async with watching(
            client, NotificationRecorder(), "auto", f"devin://sessions/{bare}", "devin://playbooks"
        ):
            pass
        async with watching(client, NotificationRecorder(), "auto"):
            await anyio.sleep(0.05)
            assert len(upstream.requests) - before <= polls + 1


async def test_watched_sessions_are_limited_to_60(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, logs: Any
) -> None:
    uris = [f"devin://sessions/devin-{n}" for n in range(150)]
    upstream.fail(
        "GET",
        ".*/devin-200",
        answer(200, {"session_id": "devin-200", "status_enum": "finished", "messages": SAID}),
    )
    upstream.fail(
        "GET", ".*", *[answer(200, {"session_id": "devin-x", "status_enum": "working"})] * 200
    )
    async with (
        connect(manual_clock=manual_clock) as client,
        watching(client, NotificationRecorder(), "auto", *uris),
    ):
        await manual_clock.asleep(60)
        await anyio.sleep(0.1)
        assert manual_clock.sleepers == 60
        result = await client.ok(
            "wait_for_sessions", session_ids=["devin-200"], max_wait_s=1
        )  # who waits has places of their own
        assert result["sessions"][0]["phase"] == "done"
    assert [line["not_watched"] for line in logs() if line["event"] == "too_many_watches"] == [90]


async def test_free_slot_goes_to_a_session_that_was_left_out(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    uris = [f"devin://sessions/devin-{n}" for n in range(61)]
    upstream.fail(
        "GET",
        ".*/devin-60",
        *[answer(200, {"session_id": "devin-60", "status_enum": "working"})] * 9,
    )
    upstream.fail(
        "GET",
        ".*/devin-7",
        answer(200, {"session_id": "devin-7", "status_enum": "finished", "messages": SAID}),
    )
    upstream.fail(
        "GET", ".*", *[answer(200, {"session_id": "devin-x", "status_enum": "working"})] * 200
    )
    async with (
        connect(manual_clock=manual_clock) as client,
        watching(client, NotificationRecorder(), "auto", *uris),
    ):
        await upstream.until("GET", "/v1/sessions/devin-60")
        assert manual_clock.sleepers <= 60


async def test_new_watch_starts_an_ended_poller_again(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("GET", "/v1/sessions/.*", answer(404, {"detail": "not yet"}))
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        async with watching(
            client, NotificationRecorder(), "auto", f"devin://sessions/{session_id}"
        ):
            await anyio.sleep(0.05)
            assert manual_clock.sleepers == 0
            async with watching(
                client, NotificationRecorder(), "auto", f"devin://sessions/{session_id}"
            ):
                await manual_clock.asleep(1)


async def test_each_key_has_its_own_poller(upstream: Upstream, manual_clock: ManualClock) -> None:
    my_notifications, your_notifications = NotificationRecorder(), NotificationRecorder()
    async with two_callers(upstream, manual_clock) as (me, you):
        session_id = (await me.ok("create_session", prompt="p"))["session_id"]
        uri = f"devin://sessions/{session_id}"
        async with (
            watching(me, my_notifications, "auto", uri),
            watching(you, your_notifications, "auto", uri),
        ):
            await manual_clock.advance(2)
            await manual_clock.advance(6)
            await my_notifications.hears(uri)
            await your_notifications.hears()  # to this key the session does not exist
        await manual_clock.asleep(0)  # both have gone, so nobody looks any more
