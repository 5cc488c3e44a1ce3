"""Replicas that share one Redis: one session per idempotency key, starts in doubt, and the sessions
per hour. Each replica is a server of its own in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from devin_mcp.keys import DevinApi
from devin_mcp.operations.delegation.search import SEARCH_DELAYS_SECONDS
from devin_mcp.operations.idempotency import LISTING_LAG_SECONDS
from devin_mcp.server.redis_link import PREFIX, RECONNECT_SECONDS
from tests.clock import AutoClock, ManualClock
from tests.conftest import Connect, Logs, ToolClient
from tests.e2e.cluster import free_port, started, system_command, wait_until_reachable
from tests.upstream import KEYS, Fault, Upstream, answer, delay_reply, lose_reply

TASK = {"prompt": "p", "idempotency_key": "k"}
NOTHING: dict[DevinApi, Fault] = {
    "v1": answer(200, {"sessions": []}),
    "v3": answer(200, {"items": [], "end_cursor": None, "has_next_page": False}),
}
Replicas = Callable[..., AbstractAsyncContextManager[list[ToolClient]]]


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    redis, port = system_command("redis-server"), free_port()
    command = [redis, "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    async with started(*command):
        await wait_until_reachable(port)
        yield f"redis://127.0.0.1:{port}"


@pytest.fixture
def replicas(connect: Connect, redis_url: str) -> Replicas:
    """`async with replicas(3) as clients:` starts that many servers, with a client of each."""

    @asynccontextmanager
    async def connected(count: int, **overrides: object) -> AsyncIterator[list[ToolClient]]:
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(connect(DEVIN_MCP_REDIS_URL=redis_url, **overrides))
                for _ in range(count)
            ]

    return connected


def list_nothing(upstream: Upstream, api: DevinApi, looks: int = 1000) -> None:
    """Devin's list lags behind: it shows no session."""
    upstream.fail_operation("list_sessions", *[NOTHING[api]] * looks)


async def test_three_replicas_start_one_session_in_the_same_instant(
    replicas: Replicas, upstream: Upstream, api: DevinApi
) -> None:
    list_nothing(upstream, api)
    async with replicas(3) as clients:
        results = await asyncio.gather(
            *(client.ok("delegate_task", **TASK) for client in clients for _ in range(2))
        )
    assert len(upstream.sent("create_session")) == 1
    assert {result["session_id"] for result in results} == set(upstream.organization.sessions)
    assert sum(result["is_new_session"] for result in results) == 1


async def test_start_in_doubt_is_known_to_the_other_replica(
    replicas: Replicas, upstream: Upstream, api: DevinApi, clock: AutoClock, redis_url: str
) -> None:
    """The reply is lost, and Devin does not list the session for a while."""
    upstream.fail_operation("create_session", lose_reply)
    list_nothing(upstream, api)
    async with replicas(2) as (first, second), Redis.from_url(redis_url) as redis:
        await first.error("delegate_task", **TASK)
        text = await second.error("delegate_task", **TASK)
        (record,) = await redis.keys(f"{PREFIX}start:*")
        assert 0 < await redis.pttl(record) <= LISTING_LAG_SECONDS * 1000
        upstream.clear_faults()
        found = await second.ok("delegate_task", **TASK)
    assert "may have started a session" in text
    assert sum(clock.waits) > sum(SEARCH_DELAYS_SECONDS)
    assert list(upstream.organization.sessions) == [found["session_id"]]


async def test_killed_replica_leaves_its_start_in_doubt(
    replicas: Replicas, upstream: Upstream, api: DevinApi, redis_url: str
) -> None:
    """Before a request is sent, the others are told. The killed replica's lock expires later."""
    gate = asyncio.Event()
    upstream.fail_operation("create_session", delay_reply(gate))
    list_nothing(upstream, api)
    async with replicas(2) as (first, second), Redis.from_url(redis_url) as redis:
        starting = asyncio.ensure_future(first("delegate_task", **TASK))
        await upstream.wait_for_operation("create_session")
        await redis.delete(*await redis.keys(f"{PREFIX}start:*:lock"))
        text = await second.error("delegate_task", **TASK)
        gate.set()
        await starting
    assert "may have started a session" in text
    assert len(upstream.organization.sessions) == 1


async def test_lock_is_held_until_the_request_of_a_cancelled_call_has_ended(
    replicas: Replicas, upstream: Upstream, api: DevinApi, redis_url: str
) -> None:
    gate = asyncio.Event()
    upstream.fail_operation("create_session", delay_reply(gate))
    list_nothing(upstream, api)
    async with replicas(2) as (first, second), Redis.from_url(redis_url) as redis:
        starting = asyncio.ensure_future(first("delegate_task", **TASK))
        await upstream.wait_for_operation("create_session")
        starting.cancel()
        await asyncio.wait({starting})
        other = asyncio.ensure_future(second.ok("delegate_task", **TASK))
        await asyncio.sleep(0.3)  # it tries to get the lock
        assert not other.done()
        gate.set()
        found = await other
        assert await redis.keys(f"{PREFIX}start:*:lock") == []
    assert list(upstream.organization.sessions) == [found["session_id"]]
    assert found["is_new_session"] is False


async def test_record_that_cannot_be_read_under_the_lock_starts_nothing(
    replicas: Replicas, upstream: Upstream, api: DevinApi, redis_url: str
) -> None:
    upstream.fail_operation("create_session", lose_reply)
    list_nothing(upstream, api)
    async with replicas(2) as (first, second), Redis.from_url(redis_url) as redis:
        await first.error("delegate_task", **TASK)
        await set_permissions(redis, "-get")
        text = await second.error("delegate_task", **TASK)
        await set_permissions(redis, "+get")
        await eventually_empty(redis)
    assert "could not be read" in text
    assert len(upstream.sent("create_session")) == 1


@pytest.mark.usefixtures("api")
async def test_outcome_and_lock_are_settled_when_redis_is_back(
    replicas: Replicas, upstream: Upstream, redis_url: str, manual_clock: ManualClock, logs: Logs
) -> None:
    """Redis takes no command of the kind while the first start is refused."""
    upstream.fail_operation("create_session", answer(422, {"detail": "no"}))
    async with (
        replicas(2, manual_clock=manual_clock) as (first, second),
        Redis.from_url(redis_url) as redis,
    ):
        await first.ok("list_sessions")
        await set_permissions(redis, "-del", "-evalsha", "-eval")
        await first.error("delegate_task", **TASK)
        assert await redis.keys(f"{PREFIX}start:*:lock") != []
        await set_permissions(redis, "+del", "+evalsha", "+eval")
        await manual_clock.advance(RECONNECT_SECONDS)
        await eventually_empty(redis)
        started_later = await second.ok("delegate_task", **TASK)
    assert started_later["is_new_session"] is True
    outcomes = [line["outcome"] for line in logs() if line["event"] == "shared_starts"]
    assert (outcomes[0], outcomes[-1]) == ("not_shared", "shared")


@pytest.mark.usefixtures("api")
async def test_refused_start_leaves_nothing_behind(
    replicas: Replicas, upstream: Upstream, redis_url: str
) -> None:
    upstream.fail_operation("create_session", answer(422, {"detail": "no"}))
    async with replicas(2) as (first, second), Redis.from_url(redis_url) as redis:
        await first.error("delegate_task", **TASK)
        assert await redis.keys(f"{PREFIX}start:*") == []
        started_later = await second.ok("delegate_task", **TASK)
    assert started_later["is_new_session"] is True


@pytest.mark.usefixtures("api")
async def test_replicas_count_the_sessions_of_a_key_together(
    replicas: Replicas, upstream: Upstream
) -> None:
    async with replicas(3, max_sessions=4) as clients:
        results = await asyncio.gather(
            *(client("create_session", prompt="p") for client in clients for _ in range(3))
        )
        refused = await clients[0].error("delegate_task", prompt="p")
    assert sum(not result.is_error for result in results) == 4
    assert len(upstream.sent("create_session")) == 4
    assert "server's limit (--max-sessions)" in refused


@pytest.mark.usefixtures("api")
async def test_refused_starts_do_not_count(replicas: Replicas, upstream: Upstream) -> None:
    upstream.fail_operation("create_session", *[answer(422, {"detail": "no"})] * 3)
    async with replicas(2, max_sessions=1) as clients:
        for client in (*clients, clients[0]):
            await client.error("create_session", prompt="p")
        await clients[1].ok("create_session", prompt="p")
        assert "--max-sessions" in await clients[0].error("create_session", prompt="p")


@pytest.mark.usefixtures("api")
async def test_sessions_start_and_the_log_says_so_while_redis_is_away(
    connect: Connect, logs: Logs
) -> None:
    away = f"redis://:secret-word@127.0.0.1:{free_port()}"
    async with connect(DEVIN_MCP_REDIS_URL=away) as client:
        await client.ok("delegate_task", **TASK)
        again = await client.ok("delegate_task", **TASK)
    lines = [line for line in logs() if line["event"] == "shared_starts"]
    assert again["is_new_session"] is False
    assert {(line["level"], line["outcome"]) for line in lines} == {("warning", "not_shared")}
    assert "secret-word" not in str(logs())


@pytest.mark.parametrize(
    "junk", [b"[" * 200_000, b"\xff", b"null", b"[]", b"{}", b'{"session_id": 5}']
)
@pytest.mark.usefixtures("api")
async def test_what_other_programs_write_is_ignored(
    replicas: Replicas, upstream: Upstream, redis_url: str, junk: bytes
) -> None:
    upstream.fail_operation("create_session", lose_reply)
    async with replicas(1) as (client,), Redis.from_url(redis_url) as redis:
        await client.ok("delegate_task", **TASK)
        for record in await redis.keys(f"{PREFIX}start:*"):
            await redis.set(record, junk)
    async with replicas(1) as (client,):
        again = await client.ok("delegate_task", **TASK)
    assert list(upstream.organization.sessions) == [again["session_id"]]


@pytest.mark.usefixtures("api")
async def test_redis_holds_no_key_and_no_text(
    replicas: Replicas, redis_url: str, api: DevinApi
) -> None:
    async with replicas(1) as (client,), Redis.from_url(redis_url) as redis:
        await client.ok("delegate_task", prompt="secret prompt", idempotency_key="secret key")
        await eventually_empty(redis)
        names = await redis.keys("*")
        values = [await redis.dump(name) for name in names]
    assert len(names) == 2
    for text in ("secret", KEYS[api]):
        assert text not in str([*names, *values])


async def eventually_empty(redis: Redis) -> None:
    """Until no lock is left."""
    while await redis.keys(f"{PREFIX}start:*:lock"):  # noqa: ASYNC110 - Redis sends no event
        await asyncio.sleep(0.01)


async def set_permissions(redis: Redis, *rules: str) -> None:
    """Which commands clients may send from now on."""
    await redis.execute_command("ACL", "SETUSER", "default", *rules)  # type: ignore[no-untyped-call]
