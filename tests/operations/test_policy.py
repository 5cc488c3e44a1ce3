"""The operator's limits: --max-acu and --max-sessions."""

from __future__ import annotations

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("api")


@pytest.mark.one_api("v1", reason="idempotent exists on v1 only.")
async def test_earlier_session_does_not_count_towards_max_sessions(connect: Connect) -> None:
    async with connect(max_sessions=2) as client:
        first = await client.ok("create_session", prompt="same", idempotent=True)
        again = await client.ok("create_session", prompt="same", idempotent=True)
        assert (again["session_id"], again["is_new_session"]) == (first["session_id"], False)
        assert "earlier session" in again["next"]
        await client.ok("create_session", prompt="other")


async def test_max_acu_applies_to_every_session(connect: Connect, upstream: Upstream) -> None:
    async with connect(max_acu=5) as client:
        created = await client.ok("create_session", prompt="p")
        await client.ok("create_session", prompt="p", max_acu_limit=2)
    assert created["max_acu_limit"] == 5
    assert [request.json["max_acu_limit"] for request in upstream.sent("create_session")] == [5, 2]


async def test_max_acu_limit_above_max_acu_is_refused(connect: Connect, upstream: Upstream) -> None:
    async with connect(max_acu=5) as client:
        text = await client.error("create_session", prompt="p", max_acu_limit=6)
    assert "--max-acu" in text
    assert upstream.requests == []


async def test_max_sessions_limits_the_starts_per_hour(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect(max_sessions=2) as client:
        # Devin refuses the first, so it does not count
        await client.error("create_session", prompt="sandbox:quota")
        await client.create_session("first")
        await client.create_session("second")
        assert "--max-sessions" in await client.error("create_session", prompt="third")
        clock.skip(3601)
        await client.create_session("fourth")
    assert len(upstream.organization.sessions) == 3
