"""The operator's limits: --max-acu and --max-sessions."""

from __future__ import annotations

from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import Upstream


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
        assert created["max_acu_limit"] == 5
        refused = await client.error("create_session", prompt="p", max_acu_limit=6)
        assert "--max-acu" in refused
        await client.ok("create_session", prompt="p", max_acu_limit=2)
    assert [seen.json["max_acu_limit"] for seen in upstream.requests] == [5, 2]


async def test_max_sessions_limits_the_starts_per_hour(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect(max_sessions=2) as client:
        await client.error(
            "create_session", prompt="sandbox:quota"
        )  # refused by Devin, so not counted
        await client.ok("create_session", prompt="one")
        await client.ok("create_session", prompt="two")
        assert "--max-sessions" in await client.error("create_session", prompt="three")
        clock.skip(3601)
        await client.ok("create_session", prompt="four")
    assert len(upstream.organization.sessions) == 3
