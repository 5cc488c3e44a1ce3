"""A delegation whose reply is lost: the session is searched for and never started twice."""

from __future__ import annotations

import asyncio

import pytest

from devin_mcp.keys import DevinApi
from tests.clock import AutoClock, ManualClock, advance_during
from tests.conftest import Connect, Logs
from tests.fake_session import SESSIONS, listed
from tests.upstream import (
    Exchange,
    Fault,
    Upstream,
    answer,
    cut_reply,
    delay_reply,
    drop_connection,
    lose_reply,
    never_answer,
)

pytestmark = pytest.mark.usefixtures("api")


def started_sessions(logs: Logs) -> list[str]:
    """The sessions whose start was logged."""
    return [line["devin_session_id"] for line in logs() if line["event"] == "session_started"]


@pytest.mark.parametrize(
    "fault", [lose_reply, cut_reply, answer(502, b"")], ids=["lose_reply", "cut_reply", "502"]
)
async def test_session_with_lost_reply_is_found_by_its_tag(
    connect: Connect, upstream: Upstream, logs: Logs, fault: Fault
) -> None:
    async def start_then_fail(exchange: Exchange) -> None:
        if fault not in (lose_reply, cut_reply):  # these two do the work themselves
            await exchange.forward(exchange.request)
        await fault(exchange)

    upstream.fail("POST", SESSIONS, start_then_fail)
    async with connect(max_acu=7) as client:
        delegated = await client.ok("delegate_task", prompt="p")
    assert list(upstream.organization.sessions) == [delegated["session_id"]]
    assert delegated["is_new_session"] is True
    assert "reply was lost" in delegated["remark"]
    assert upstream.count("POST", SESSIONS) == 1
    assert started_sessions(logs) == [delegated["session_id"]]


async def test_session_with_lost_reply_is_found_after_failed_searches(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", SESSIONS, lose_reply)
    upstream.fail("GET", SESSIONS, answer(500), listed())
    async with connect(manual_clock=manual_clock) as client:
        delegating = client.ok("delegate_task", prompt="p", max_wait_s=30)
        delegated = await advance_during(manual_clock, delegating, 1, 2, 3, 6, 6)
    assert delegated["phase"] == "waiting"
    assert "reply was lost" in delegated["remark"]


async def test_session_that_is_not_found_is_reported_with_its_tag(
    connect: Connect, upstream: Upstream, clock: AutoClock, api: DevinApi
) -> None:
    upstream.fail("POST", SESSIONS, drop_connection)
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p")
    (request,) = upstream.sent("create_session")
    (tag,) = request.json["tags"]
    assert f"tags=[{tag}]" in text
    assert "may still appear and cost ACUs" in text
    searches = {"v1": 5, "v3": 5 * 2}  # v3 is asked for archived sessions, too
    assert upstream.count("GET", SESSIONS) == searches[api]
    assert sum(clock.waits) < 12


async def test_late_reply_ends_the_search(connect: Connect, upstream: Upstream, logs: Logs) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", SESSIONS, delay_reply(gate))
    upstream.fail("GET", SESSIONS, *[listed()] * 2)

    async def open_gate() -> None:
        await upstream.wait_for("GET", SESSIONS, 2)
        gate.set()

    async with connect(deadline=14.2, timeout=50) as client:
        opening = asyncio.ensure_future(open_gate())
        delegated = await client.ok("delegate_task", prompt="p")
        await opening
    assert list(upstream.organization.sessions) == [delegated["session_id"]]
    assert started_sessions(logs) == [delegated["session_id"]]


async def test_unanswered_start_is_found_within_the_deadline(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", SESSIONS, never_answer)
    async with connect(timeout=0.3) as client:
        delegated = await client.ok("delegate_task", prompt="p")
    assert list(upstream.organization.sessions) == [delegated["session_id"]]


@pytest.mark.parametrize("status", [408, 499])
async def test_gateway_timeout_is_treated_as_a_lost_reply(
    connect: Connect, upstream: Upstream, status: int
) -> None:
    async def start_and_time_out(exchange: Exchange) -> None:
        await exchange.forward(exchange.request)
        await exchange.reply(status, b"", {})

    upstream.fail("POST", SESSIONS, start_and_time_out)
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="p")
    assert list(upstream.organization.sessions) == [delegated["session_id"]]
    assert "reply was lost" in delegated["remark"]
