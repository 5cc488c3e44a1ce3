"""One list request reads all sessions that are polled with one key of the Organization API."""

from __future__ import annotations

import asyncio

from devin_mcp.keys import DevinApi
from tests.clock import ManualClock
from tests.conftest import Connect
from tests.upstream import Upstream

SESSIONS = 16
REQUESTS_PER_ROUND = {"v1": SESSIONS, "v3": 1}
SETTLING_STEPS = (7, 10)
"""Each session is polled twice more: from then on, unchanged messages are not read again."""
STEP = 15
"""Longer than the interval of every poller after these steps, and shorter than two intervals."""


async def test_round_costs_one_request_on_v3_and_one_per_session_on_v1(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, api: DevinApi
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:forever") for _ in range(SESSIONS)]
        waiting = asyncio.ensure_future(
            client.ok("wait_for_sessions", session_ids=ids, max_wait_s=45)
        )
        asleep = SESSIONS + 1
        for step in SETTLING_STEPS:
            await manual_clock.advance(step, until_asleep=asleep)
        await manual_clock.wait_for_sleepers(asleep)
        settled = len(upstream.requests)
        await manual_clock.advance(STEP, until_asleep=asleep)
        await manual_clock.wait_for_sleepers(asleep)
        sent = upstream.requests[settled:]
        await manual_clock.advance(STEP, until_asleep=asleep)
        result = await waiting
    assert result["timed_out"]
    assert len(sent) == REQUESTS_PER_ROUND[api]
    if api == "v3":
        assert sent == [request for request in sent if request in upstream.sent("sessions_by_id")]
        assert all(session_id.removeprefix("devin-") in sent[0].query for session_id in ids)
