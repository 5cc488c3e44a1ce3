"""One list request reads all sessions that are polled with one key of the Organization API."""

from __future__ import annotations

import asyncio

from devin_mcp.keys import DevinApi
from tests.clock import ManualClock
from tests.conftest import Connect
from tests.upstream import Upstream

SESSIONS = 16
REQUESTS_PER_ROUND = {"v1": SESSIONS, "v3": 1}
MAX_WAIT_SECONDS = 45
SETTLING_STEPS = (7, 10)
"""Each session is polled twice more: from then on, unchanged messages are not read again."""
STEP: dict[DevinApi, float] = {"v1": 15, "v3": 8}
"""The next interval of each poller is random, from 6 to 9 s. On v3, those that are not due join."""


async def test_round_costs_one_request_on_v3_and_one_per_session_on_v1(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, api: DevinApi
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:forever") for _ in range(SESSIONS)]
        waiting = asyncio.ensure_future(
            client.ok("wait_for_sessions", session_ids=ids, max_wait_s=MAX_WAIT_SECONDS)
        )
        asleep = SESSIONS + 1
        for step in SETTLING_STEPS:
            await manual_clock.advance(step, until_asleep=asleep)
        await manual_clock.wait_for_sleepers(asleep)
        settled = len(upstream.requests)
        await manual_clock.advance(STEP[api], until_asleep=asleep)
        await manual_clock.wait_for_sleepers(asleep)
        sent = upstream.requests[settled:]
        await manual_clock.advance(MAX_WAIT_SECONDS, until_asleep=asleep)
        result = await waiting
    assert result["timed_out"]
    assert len(sent) == REQUESTS_PER_ROUND[api]
    if api == "v3":
        assert sent[0] in upstream.sent("sessions_by_id")
        assert all(session_id.removeprefix("devin-") in sent[0].query for session_id in ids)
