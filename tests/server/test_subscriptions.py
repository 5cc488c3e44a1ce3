"""Subscriptions: stdio in both eras, HTTP in the new one; only for the caller's own key."""

from __future__ import annotations

import signal
import time
import warnings

import anyio
import pytest
from mcp import Client, MCPDeprecationWarning, MCPError
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND

from devin_mcp.keys import DevinApi
from tests.clock import ManualClock
from tests.conftest import Connect, Era, ToolClient, eventually
from tests.e2e.processes import start_http_process, start_process
from tests.notification_recorder import NotificationRecorder, subscribe
from tests.server.callers import two_callers
from tests.upstream import Fault, Upstream, answer, page

pytestmark = pytest.mark.usefixtures("api")


async def test_own_write_notifies_the_subscribers(connect: Connect, era: Era) -> None:
    notifications = NotificationRecorder()
    mine, other = "devin://playbooks/playbook-0001", "devin://playbooks/playbook-0002"
    async with (
        connect(era=era, notifications=notifications.legacy_events(era)) as client,
        subscribe(client, notifications, era, mine, other, "devin://knowledge"),
    ):
        await client.ok("update_playbook", playbook_id="playbook-0001", title="New")
        await notifications.expect("resources", "prompts", mine)
        await client.ok("create_knowledge", name="n", body="b", trigger="t")
        await notifications.expect("resources", "devin://knowledge")
        await client.ok("create_secret", key="K", type="key-value", value="v")
        await client.error("delete_playbook", playbook_id="playbook-none")
        await client.ok("list_playbooks")
        await notifications.expect()
        assert "New" in await client.read(mine), "a notified client reads the new text"


async def test_unsubscribed_uri_is_not_notified(connect: Connect, era: Era) -> None:
    notifications, uri = NotificationRecorder(), "devin://playbooks/playbook-0001"
    async with connect(era=era, notifications=notifications.legacy_events(era)) as client:
        async with subscribe(client, notifications, era, uri):
            pass
        await client.ok("update_playbook", playbook_id="playbook-0001", title="New")
        await notifications.expect(*(["resources", "prompts"] if era == "legacy" else []))


async def test_capabilities_announce_what_can_be_subscribed(connect: Connect, era: Era) -> None:
    async with connect(era=era) as client:
        capabilities = client.sdk.server_capabilities
    assert capabilities is not None
    assert capabilities.resources is not None
    assert capabilities.prompts is not None
    assert capabilities.resources.subscribe is True
    assert capabilities.resources.list_changed is True
    assert capabilities.prompts.list_changed is True


async def test_subscriptions_over_http_need_the_2026_revision(connect: Connect, era: Era) -> None:
    """Over HTTP no notification can reach an older client."""
    async with connect(era=era, transport="http") as client:
        capabilities = client.sdk.server_capabilities
        assert capabilities is not None
        assert capabilities.resources is not None
        assert capabilities.resources.subscribe is (era == "auto")
        if era == "legacy":
            with warnings.catch_warnings(), pytest.raises(MCPError) as refused:
                warnings.simplefilter("ignore", MCPDeprecationWarning)
                await client.sdk.subscribe_resource("devin://playbooks")
            assert refused.value.error.code == METHOD_NOT_FOUND


async def test_watched_session_notifies_each_change_once(
    connect: Connect, manual_clock: ManualClock, era: Era, api: DevinApi
) -> None:
    notifications = NotificationRecorder()
    async with connect(
        era=era, manual_clock=manual_clock, notifications=notifications.legacy_events(era)
    ) as client:
        session_id = await client.create_session()
        uri = f"devin://sessions/{session_id}"
        async with subscribe(client, notifications, era, uri):
            await manual_clock.advance(6)
            await notifications.expect(uri)  # Devin asks
            await manual_clock.advance(100)
            await manual_clock.advance(100)
            await notifications.expect()
            await client.ok("send_message", session_id=session_id, message="strict")
            await notifications.expect(uri)  # polled at once: the message is there, Devin works
            await manual_clock.advance(7)
            await notifications.expect(uri)  # done, with Devin's final message
            if api == "v1":  # on v3 the session still lives, so it is polled on
                await manual_clock.wait_for_sleepers(0)


async def test_stream_is_limited_to_500_uris(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="at most 500"):
            async with subscribe(
                client,
                NotificationRecorder(),
                "auto",
                *(f"devin://playbooks/p{number}" for number in range(501)),
            ):
                pass


async def test_index_is_notified_once_per_change(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    notifications = NotificationRecorder()
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        async with subscribe(
            client, notifications, "auto", f"devin://sessions/{session_id}", "devin://sessions"
        ):
            await manual_clock.wait_for_sleepers(1)
            await client.ok("terminate_session", session_id=session_id)
            await notifications.expect(f"devin://sessions/{session_id}", "devin://sessions")


UNKNOWN_URIS = [
    "devin://sessions/devin-1",
    "devin://sessions/..%2Fx",
    "devin://nothing",
    "",
    "http://example.com/x",
]
"""For a caller that has playbooks only."""


async def test_listening_to_a_hidden_or_invalid_uri_sends_no_request(
    connect: Connect, upstream: Upstream
) -> None:
    async with (
        connect(toolsets="playbooks") as client,
        subscribe(client, NotificationRecorder(), "auto", *UNKNOWN_URIS),
    ):
        await anyio.sleep(0.05)  # nothing is polled
    assert upstream.requests == []


@pytest.mark.parametrize("uri", UNKNOWN_URIS)
async def test_subscribing_to_a_hidden_or_invalid_uri_is_refused(
    connect: Connect, upstream: Upstream, uri: str
) -> None:
    async with connect(era="legacy", toolsets="playbooks") as client:
        with pytest.raises(MCPError, match="Unknown resource") as refused:
            await legacy_subscribe(client, uri)
    assert refused.value.error.code == INVALID_PARAMS
    assert upstream.requests == []


@pytest.mark.parametrize(
    "uri",
    [
        "devin://sessions/devin-none",
        "devin://sessions/..%2Fx",
        "devin://playbooks/playbook-none",
        "devin://knowledge/note-none",
    ],
)
async def test_subscribing_to_what_devin_does_not_know_is_refused(
    connect: Connect, uri: str
) -> None:
    async with connect(era="legacy") as client:
        with pytest.raises(MCPError, match="Unknown resource") as refused:
            await legacy_subscribe(client, uri)
    assert refused.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize("fault", [answer(500), page(404), answer(403)], ids=["500", "page", "403"])
async def test_subscribing_to_what_cannot_be_read_now_is_accepted(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    playbook_id = next(iter(upstream.organization.playbooks))
    uri = f"devin://playbooks/{playbook_id}"
    notifications = NotificationRecorder()
    upstream.fail_operation("get_playbook", fault)
    async with connect(era="legacy", notifications=notifications.legacy_events("legacy")) as client:
        await legacy_subscribe(client, uri)
        await client.ok("update_playbook", playbook_id=playbook_id, title="t")
        await eventually(lambda: uri in notifications.received)
    assert notifications.received.count(uri) == 1


async def legacy_subscribe(client: ToolClient, uri: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await client.sdk.subscribe_resource(uri)


async def test_write_notifies_only_subscribers_with_the_same_key(
    upstream: Upstream, manual_clock: ManualClock
) -> None:
    uri, playbooks = "devin://playbooks/playbook-0001", "devin://playbooks"
    of_first, of_second = NotificationRecorder(), NotificationRecorder()
    async with (
        two_callers(upstream, manual_clock) as (first, second),
        subscribe(first, of_first, "auto", uri, playbooks),
        subscribe(second, of_second, "auto", uri, playbooks),
    ):
        await first.ok("update_playbook", playbook_id="playbook-0001", title="A")
        await of_first.expect(uri, playbooks, "resources", "prompts")
        await of_second.expect()
        await second.ok("update_playbook", playbook_id="playbook-0001", title="B")
        await of_second.expect(uri, playbooks, "resources", "prompts")
        await of_first.expect()


async def test_cached_resources_and_prompts_are_never_shared_between_keys(
    upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with two_callers(upstream, manual_clock) as (first, second):
        await first.ok("update_playbook", playbook_id="playbook-0001", title="Title A")
        assert "Title A" in await first.read("devin://playbooks")
        assert "Title A" not in await second.read("devin://playbooks")
        await second.ok("update_playbook", playbook_id="playbook-0001", title="Title B")
        assert "Title B" not in await first.read("devin://playbooks")
        prompt = await first.sdk.get_prompt("fixtest", {"task": "t"})
        assert "Title A" in prompt.model_dump_json()
        prompt = await second.sdk.get_prompt("fixtest", {"task": "t"})
        assert "Title B" in prompt.model_dump_json()
        titles = {resource.title for resource in await first.resources()}
        other_titles = {resource.title for resource in await second.resources()}
        assert titles ^ other_titles == {"Title A", "Title B"}


async def test_open_listen_stream_does_not_delay_http_shutdown(
    upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with start_http_process("--sandbox") as (server, url), Client(url) as client:
        async with client.listen(resources_list_changed=True) as events:
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert [event async for event in events] == []  # closed, not dropped
            assert await server.wait_for_exit(close=False) == 0
        assert time.monotonic() - started < 3


async def test_open_listen_stream_does_not_delay_stdio_shutdown() -> None:
    async with start_process("--sandbox", "--log-format", "json") as server:
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
        }
        subscriptions = {
            "resourcesListChanged": True,
            "resourceSubscriptions": ["devin://sessions/devin-1"],
        }
        server.send(
            id=1,
            method="subscriptions/listen",
            params={"notifications": subscriptions, "_meta": meta},
        )
        assert (await server.read_message())["method"] == "notifications/subscriptions/acknowledged"
        started = time.monotonic()
        assert await server.wait_for_exit() == 0
    assert time.monotonic() - started < 3
    assert b"Traceback" not in server.stderr
