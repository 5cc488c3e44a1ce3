"""Notices of change: over stdio in both eras, over HTTP for the new one, to nobody whose key it is not."""

from __future__ import annotations

import asyncio
import signal
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client, MCPDeprecationWarning, MCPError
from mcp.types import METHOD_NOT_FOUND

from tests.clock import ManualClock
from tests.conftest import Connect, Era, ToolClient, settings_for
from tests.e2e.processes import running, serving
from tests.http_client import deployed, visiting
from tests.notification_recorder import NotificationRecorder, watching
from tests.upstream import KEY, Fault, Upstream, answer, late, page

OTHER = "apk_user_other_9876543210"
SAID = [{"type": "devin_message", "event_id": "e", "message": "Done."}]


@pytest.fixture
def manual_clock(upstream: Upstream) -> ManualClock:
    clock = ManualClock()
    clock.on_skip.append(upstream.sandbox.clock.advance)
    return clock


async def test_a_change_made_here_is_announced(connect: Connect, era: Era) -> None:
    ears = NotificationRecorder()
    mine, other = "devin://playbooks/playbook-0001", "devin://playbooks/playbook-0002"
    async with (
        connect(era=era, notifications=ears.old(era)) as client,
        watching(client, ears, era, mine, other, "devin://knowledge"),
    ):
        await client.ok("update_playbook", playbook_id="playbook-0001", title="New")
        await ears.hears("resources", "prompts", mine)
        await client.ok("create_knowledge", name="n", body="b", trigger_description="t")
        await ears.hears("resources", "devin://knowledge")
        await client.ok("create_secret", key="K", type="key-value", value="v")
        await client.error("delete_playbook", playbook_id="playbook-none")
        await client.ok("list_playbooks")
        await ears.hears()
        assert "New" in await client.read(mine), "who is told finds the new text"


async def test_an_unwatched_address_is_announced_no_more(connect: Connect, era: Era) -> None:
    ears, uri = NotificationRecorder(), "devin://playbooks/playbook-0001"
    async with connect(era=era, notifications=ears.old(era)) as client:
        async with watching(client, ears, era, uri):
            pass
        await client.ok("update_playbook", playbook_id="playbook-0001", title="New")
        await ears.hears(*(["resources", "prompts"] if era == "legacy" else []))


async def test_what_can_be_watched_is_what_is_offered(connect: Connect, era: Era) -> None:
    async with connect(era=era) as client:
        can = client.sdk.server_capabilities
    assert can is not None
    assert can.resources is not None
    assert can.prompts is not None
    assert (can.resources.subscribe, can.resources.list_changed, can.prompts.list_changed) == (
        True,
        True,
        True,
    )
    async with connect(era=era, transport="http") as client:
        can = client.sdk.server_capabilities
        assert can is not None
        assert can.resources is not None
        assert can.resources.subscribe is (era == "auto"), (
            "over HTTP nothing could reach an older client"
        )
        if era == "legacy":
            with warnings.catch_warnings(), pytest.raises(MCPError) as refused:
                warnings.simplefilter("ignore", MCPDeprecationWarning)
                await client.sdk.subscribe_resource("devin://playbooks")
            assert refused.value.error.code == METHOD_NOT_FOUND


async def test_a_watched_session_is_looked_at_and_every_change_announced_once(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, era: Era
) -> None:
    ears = NotificationRecorder()
    async with connect(era=era, manual_clock=manual_clock, notifications=ears.old(era)) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        uri = f"devin://sessions/{one}"
        async with watching(client, ears, era, uri):
            await manual_clock.advance(6)
            await ears.hears(uri)  # it asks
            await manual_clock.advance(100)
            await manual_clock.advance(100)
            await ears.hears()
            await client.ok("send_message", session_id=one, message="strict")
            await ears.hears(
                uri
            )  # the message is there, and it works again; looked at without waiting
            await manual_clock.advance(7)
            await ears.hears(uri)  # done, with Devin's words
            await manual_clock.asleep(0)


async def test_looking_is_quick_while_things_change_and_slow_while_they_rest(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        async with watching(client, NotificationRecorder(), "auto", f"devin://sessions/{one}"):
            for _ in range(12):
                await manual_clock.advance(70)
    pauses = [round(wait) for wait in manual_clock.waits]
    assert max(pauses[:2]) <= 6
    assert max(pauses) <= 72
    assert min(pauses[-2:]) >= 48, "a session that waits is looked at once a minute"
    assert max(pauses[-3:]) - min(manual_clock.waits[-3:]) > 0.001, "with some jitter"


async def test_many_who_watch_one_session_cost_one_poller_and_nobody_costs_nothing(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        bare = one.removeprefix("devin-")
        ears = [NotificationRecorder() for _ in range(5)]
        before = len(upstream.requests)
        async with anyio.create_task_group() as group:
            done = anyio.Event()

            async def one_more(ear: NotificationRecorder, uri: str) -> None:
                async with watching(client, ear, "auto", uri):
                    await done.wait()

            for ear in ears:
                group.start_soon(one_more, ear, f"devin://sessions/{one}")
            await manual_clock.advance(2)
            assert manual_clock.sleepers == 1
            await manual_clock.advance(6)
            for ear in ears:
                await ear.hears(f"devin://sessions/{one}")
            done.set()
        await manual_clock.asleep(0)
        looks = upstream.count("GET", "/v1/sessions/.*")
        assert looks == len(upstream.requests) - before <= 4
        async with watching(
            client, NotificationRecorder(), "auto", f"devin://sessions/{bare}", "devin://playbooks"
        ):
            pass
        async with watching(client, NotificationRecorder(), "auto"):
            await anyio.sleep(0.05)
            assert len(upstream.requests) - before <= looks + 1


async def test_a_watch_survives_trouble_with_longer_and_longer_pauses(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, logs: Any
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        ears = NotificationRecorder()
        async with watching(client, ears, "auto", f"devin://sessions/{one}"):
            await manual_clock.advance(1)
            upstream.fail(
                "GET",
                "/v1/sessions/.*",
                answer(500),
                answer(200, b"<html>"),
                answer(500),
                answer(429, {"detail": "x"}, retry_after="40"),
            )
            for _ in range(5):
                await manual_clock.advance(75)
            await ears.hears(f"devin://sessions/{one}")
    assert sorted(manual_clock.waits[1:5]) == manual_clock.waits[1:5]
    watch = [line for line in logs() if line.get("method") == "watch"]
    assert [
        (line["outcome"], line["devin_session_id"], line["attempts"] > 5) for line in watch
    ] == [("ok", one, True)]
    attempts = [
        line
        for line in logs()
        if line["event"] == "api_request" and line["call_id"] == watch[0]["call_id"]
    ]
    assert len(attempts) == watch[0]["attempts"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_session_that_devin_does_not_show_is_not_asked_for_again(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, status: int, logs: Any
) -> None:
    upstream.fail("GET", "/v1/sessions/.*", answer(status, {"detail": "x"}))
    async with (
        connect(manual_clock=manual_clock) as client,
        watching(client, NotificationRecorder(), "auto", "devin://sessions/devin-x"),
    ):
        await upstream.arrived.wait()
        await anyio.sleep(0.05)
        assert manual_clock.sleepers == 0
    assert upstream.count("GET", "/v1/sessions/.*") == 1
    assert [line["outcome"] for line in logs() if line.get("method") == "watch"] == ["tool_error"]


async def test_nobody_can_have_the_whole_organization_watched(
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
        told = await client.ok(
            "wait_for_sessions", session_ids=["devin-200"], max_wait_s=1
        )  # who waits has places of their own
        assert told["sessions"][0]["phase"] == "done"
    assert [line["not_watched"] for line in logs() if line["event"] == "too_many_watches"] == [90]


async def test_a_place_that_becomes_free_goes_to_one_that_had_to_be_left_out(
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


async def test_a_stream_has_a_bound(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="at most 500"):
            async with watching(
                client,
                NotificationRecorder(),
                "auto",
                *(f"devin://playbooks/p{n}" for n in range(501)),
            ):
                pass


async def test_what_happened_before_the_first_look_that_worked_is_announced(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, era: Era
) -> None:
    ears = NotificationRecorder()
    async with connect(era=era, manual_clock=manual_clock, notifications=ears.old(era)) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        await anyio.sleep(0.01)
        manual_clock.passed += 4
        for told in manual_clock.on_skip:
            told(4)
        upstream.fail("GET", "/v1/sessions/.*", answer(500))
        async with watching(client, ears, era, f"devin://sessions/{one}"):
            await manual_clock.asleep(1)
            await client.ok("send_message", session_id=one, message="m")
            await ears.hears(
                *[f"devin://sessions/{one}"] * 2
            )  # the write, and what the first look that worked saw


@pytest.mark.parametrize("status", [400, 408, 409, 422, 425])
async def test_a_passing_refusal_does_not_end_a_watch(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, status: int
) -> None:
    ears = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        async with watching(client, ears, "auto", f"devin://sessions/{one}"):
            await manual_clock.asleep(1)
            upstream.fail("GET", "/v1/sessions/.*", answer(status, {"detail": "x"}))
            await manual_clock.advance(7)
            await manual_clock.advance(20)
            await ears.hears(f"devin://sessions/{one}")


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_one_refusal_in_the_middle_does_not_end_a_watch_and_is_told(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, status: int
) -> None:
    ears = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        async with watching(client, ears, "auto", f"devin://sessions/{one}"):
            await manual_clock.asleep(1)
            upstream.fail("GET", "/v1/sessions/.*", page(status))
            await manual_clock.advance(7)
            await ears.hears(f"devin://sessions/{one}")
            await manual_clock.advance(20)
            await ears.hears(f"devin://sessions/{one}")  # seen again, and waiting by now


async def test_refusals_in_a_row_end_a_watch(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    ears = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        async with watching(client, ears, "auto", f"devin://sessions/{one}"):
            await manual_clock.asleep(1)
            upstream.fail("GET", "/v1/sessions/.*", *[answer(404, {})] * 3)
            for _ in range(3):
                await manual_clock.advance(70)
            await manual_clock.asleep(0)
            await ears.hears(f"devin://sessions/{one}")


async def test_an_end_that_can_only_be_guessed_is_announced(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, era: Era
) -> None:
    """Terminated here, and not to be looked at any more: who watches has to hear that something happened."""
    ears = NotificationRecorder()
    async with connect(era=era, manual_clock=manual_clock, notifications=ears.old(era)) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        async with watching(client, ears, era, f"devin://sessions/{one}", "devin://sessions"):
            await manual_clock.asleep(1)
            upstream.fail("GET", "/v1/sessions/.*", *[answer(404, {})] * 9)
            await client.ok("terminate_session", session_id=one)
            await ears.hears(f"devin://sessions/{one}", "devin://sessions")


async def test_what_happened_during_a_slow_first_look_is_announced(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    ears, gate = NotificationRecorder(), asyncio.Event()
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        upstream.fail("GET", "/v1/sessions/.*", late(gate))
        async with watching(client, ears, "auto", f"devin://sessions/{one}"):
            await upstream.until("GET", f"/v1/sessions/{one}")
            assert "starting" in await client.read(f"devin://sessions/{one}")
            manual_clock.passed += 6
            for told in manual_clock.on_skip:
                told(6)
            gate.set()
            await ears.hears(f"devin://sessions/{one}")


async def test_messages_that_vanish_while_devin_works_are_announced_once(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    def said(*ids: str) -> Fault:
        messages = [{"type": "devin_message", "event_id": one, "message": "m"} for one in ids]
        return answer(
            200, {"session_id": "devin-1", "status_enum": "working", "messages": messages}
        )

    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        said("a"),
        said("a", "b"),
        said(),
        said("a", "b"),
        said("a", "b", "c"),
        *[said("a", "b", "c")] * 9,
    )
    ears, uri = NotificationRecorder(), "devin://sessions/devin-1"
    async with (
        connect(manual_clock=manual_clock) as client,
        watching(client, ears, "auto", uri, "devin://sessions"),
    ):
        await manual_clock.advance(7)
        await ears.hears(uri)  # b, a message alone: the index shows no messages
        for _ in range(2):
            await manual_clock.advance(30)
        await ears.hears()
        await manual_clock.advance(30)
        await ears.hears(uri)  # c
        assert upstream.count("GET", "/v1/sessions/devin-1") == 5


async def test_a_watch_that_ended_begins_anew_for_who_asks_anew(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("GET", "/v1/sessions/.*", answer(404, {"detail": "not yet"}))
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        async with watching(client, NotificationRecorder(), "auto", f"devin://sessions/{one}"):
            await anyio.sleep(0.05)
            assert manual_clock.sleepers == 0
            async with watching(client, NotificationRecorder(), "auto", f"devin://sessions/{one}"):
                await manual_clock.asleep(1)


async def test_the_index_is_announced_once_for_one_change(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    ears = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        async with watching(client, ears, "auto", f"devin://sessions/{one}", "devin://sessions"):
            await manual_clock.asleep(1)
            await client.ok("terminate_session", session_id=one)
            await ears.hears(f"devin://sessions/{one}", "devin://sessions")


async def test_hidden_and_impossible_addresses_can_be_watched_in_vain(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    ears = NotificationRecorder()
    uris = [
        "devin://sessions/devin-1",
        "devin://sessions/..%2Fx",
        "devin://nothing",
        "",
        "http://example.com/x",
    ]
    async with (
        connect(era=era, toolsets="playbooks", notifications=ears.old(era)) as client,
        watching(client, ears, era, *uris),
    ):
        await anyio.sleep(0.05)
    assert upstream.requests == []


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


async def test_two_keys_that_watch_the_same_address_do_not_hear_of_each_other(
    upstream: Upstream, manual_clock: ManualClock
) -> None:
    uri, playbooks = "devin://playbooks/playbook-0001", "devin://playbooks"
    mine, yours = NotificationRecorder(), NotificationRecorder()
    async with (
        two_callers(upstream, manual_clock) as (me, you),
        watching(me, mine, "auto", uri, playbooks),
        watching(you, yours, "auto", uri, playbooks),
    ):
        await me.ok("update_playbook", playbook_id="playbook-0001", title="Mine")
        await mine.hears(uri, playbooks, "resources", "prompts")
        await yours.hears()
        assert "Mine" in await me.read(playbooks)
        assert "Mine" not in await you.read(playbooks)
        await you.ok("update_playbook", playbook_id="playbook-0001", title="Yours")
        await yours.hears(uri, playbooks, "resources", "prompts")
        await mine.hears()
        assert "Yours" not in await me.read(playbooks)
        assert "Mine" in (await me.sdk.get_prompt("fixtest", {"task": "t"})).model_dump_json()
        assert "Yours" in (await you.sdk.get_prompt("fixtest", {"task": "t"})).model_dump_json()
        assert {one.title for one in await me.resources()} ^ {
            one.title for one in await you.resources()
        } == {"Mine", "Yours"}


async def test_two_keys_that_watch_the_same_session_have_a_poller_each(
    upstream: Upstream, manual_clock: ManualClock
) -> None:
    mine, yours = NotificationRecorder(), NotificationRecorder()
    async with two_callers(upstream, manual_clock) as (me, you):
        one = (await me.ok("create_session", prompt="p"))["session_id"]
        uri = f"devin://sessions/{one}"
        async with watching(me, mine, "auto", uri), watching(you, yours, "auto", uri):
            await manual_clock.advance(2)
            await manual_clock.advance(6)
            await mine.hears(uri)
            await yours.hears()  # to this key the session does not exist
        await manual_clock.asleep(0)  # both have gone, so nobody looks any more


async def test_a_stream_that_is_open_does_not_delay_the_end(
    upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with serving("--sandbox") as (server, url), Client(url) as client:
        async with client.listen(resources_list_changed=True) as events:
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert [event async for event in events] == []  # closed, not dropped
            assert await server.end(close=False) == 0
        assert time.monotonic() - started < 3


async def test_over_stdio_an_open_stream_does_not_delay_the_end_either() -> None:
    async with running("--sandbox", "--log-format", "json") as server:
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
        }
        wanted = {
            "resourcesListChanged": True,
            "resourceSubscriptions": ["devin://sessions/devin-1"],
        }
        server.send(
            id=1, method="subscriptions/listen", params={"notifications": wanted, "_meta": meta}
        )
        assert (await server.line())["method"] == "notifications/subscriptions/acknowledged"
        started = time.monotonic()
        assert await server.end() == 0
    assert time.monotonic() - started < 3
    assert b"Traceback" not in server.stderr
