"""A write on the wire completes although its call was cancelled; a read is aborted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.clock import AutoClock
from tests.conftest import Connect, Era, eventually
from tests.upstream import Upstream, answer, delay_reply

Logs = Callable[[], list[dict[str, Any]]]


def late_replies(logs: Logs) -> list[dict[str, Any]]:
    return [line for line in logs() if line["event"] == "late_reply"]


async def test_cancelled_create_completes_and_logs_its_session(
    connect: Connect, upstream: Upstream, logs: Logs, era: Era
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", "/v1/sessions", delay_reply(gate))
    async with connect(era=era) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client("create_session", prompt="p"))
            await eventually(lambda: len(upstream.organization.sessions) == 1)
            group.cancel_scope.cancel()
        await eventually(lambda: any(line["event"] == "mcp_call" for line in logs()))
        gate.set()
        await eventually(lambda: bool(late_replies(logs)))
    (reply,) = late_replies(logs)
    (call,) = [line for line in logs() if line["event"] == "mcp_call"]
    assert reply["outcome"] == "ok"
    assert reply["devin_session_id"] in upstream.organization.sessions
    (started,) = [line for line in logs() if line["event"] == "session_started"]
    assert (started["call_id"], started["devin_session_id"]) == (
        call["call_id"],
        reply["devin_session_id"],
    )
    assert (call["outcome"], call["call_id"]) == ("cancelled", reply["call_id"])
    assert upstream.count("POST") == 1


async def test_cancelled_read_is_aborted(connect: Connect, upstream: Upstream, logs: Logs) -> None:
    upstream.fail("GET", "/v1/sessions", delay_reply(asyncio.Event()))
    async with connect() as client:
        reading = asyncio.ensure_future(client("list_sessions"))
        await upstream.wait_for("GET", "/v1/sessions")
        reading.cancel()
        await eventually(lambda: any(line["event"] == "mcp_call" for line in logs()))
    assert late_replies(logs) == []
    request, call = (
        next(line for line in logs() if line["event"] == name)
        for name in ("api_request", "mcp_call")
    )
    assert (request["error"], request["attempt"]) == ("cancelled", 1)
    assert (call["outcome"], call["attempts"]) == ("cancelled", 1)


async def test_create_cancelled_during_back_off_is_not_sent_again(
    connect: Connect, upstream: Upstream, clock: AutoClock, logs: Logs
) -> None:
    back_off_started, back_off_over = anyio.Event(), anyio.Event()

    async def back_off() -> None:
        back_off_started.set()
        await back_off_over.wait()

    clock.then = back_off
    upstream.fail("POST", "/v1/sessions", answer(429, {"detail": "slow down"}))
    async with connect() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client("create_session", prompt="p"))
            await back_off_started.wait()
            group.cancel_scope.cancel()
        back_off_over.set()
        await anyio.sleep(0.05)  # no request follows
    assert upstream.count("POST") == 1
    assert upstream.organization.sessions == {}


async def test_create_at_the_deadline_is_reported_as_lost_reply(
    connect: Connect, upstream: Upstream, logs: Logs
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", "/v1/sessions", delay_reply(gate))
    async with connect(deadline=0.2) as client:
        text = await client.error("create_session", prompt="p")
        assert "A session may exist" in text


@pytest.mark.parametrize(("is_answered", "outcome"), [(True, "ok"), (False, "tool_error")])
async def test_shutdown_waits_for_writes_up_to_the_grace_period(
    connect: Connect, upstream: Upstream, logs: Logs, is_answered: bool, outcome: str
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", "/v1/sessions", delay_reply(gate))
    async with connect(grace=0.3) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client("create_session", prompt="p"))
            await eventually(lambda: len(upstream.organization.sessions) == 1)
            group.cancel_scope.cancel()
        if is_answered:
            asyncio.get_running_loop().call_later(0.1, gate.set)
    assert [line["outcome"] for line in late_replies(logs)] == [outcome]


async def test_unanswered_create_is_logged_as_reply_lost(
    connect: Connect, upstream: Upstream, logs: Logs
) -> None:
    """The outcome `refused` would mean that nothing was sent, but a session exists."""
    upstream.fail("POST", "/v1/sessions", delay_reply(asyncio.Event()))
    async with connect(deadline=0.3, grace=0) as client:
        assert "may have been carried out" in await client.error("create_session", prompt="p")
    (call,) = [line for line in logs() if line["event"] == "mcp_call"]
    assert (call["outcome"], call["error"], call["attempts"]) == ("tool_error", "reply_lost", 1)
    assert len(upstream.organization.sessions) == 1
    assert [line["error"] for line in logs() if line["event"] == "api_request"] in (
        ["ReadTimeout"],
        ["cancelled"],
    )
