"""Three replicas behind HAProxy and Redis: one is killed and one added while clients work."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus
from mcp.types import ElicitResult
from redis.asyncio import Redis

from devin_mcp.server.replication import CHANNEL
from tests.clock import HANG_SECONDS
from tests.conftest import Era, ToolClient
from tests.e2e.cluster import Cluster, start_cluster
from tests.e2e.processes import start_process
from tests.http_client import connect_over_http

DELEGATIONS = 4
"""In each era."""


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with start_cluster(tmp_path) as cluster:
        yield cluster


async def call_with_retries(
    cluster: Cluster, era: Era, caller: str, tool: str, **arguments: Any
) -> dict[str, Any]:
    """A call that is repeated with the same arguments when the connection broke."""
    for _ in range(6):
        try:
            async with connect_over_http(
                cluster.url, {"X-Devin-Api-Key": caller}, era=era
            ) as client:
                return await client.ok(tool, **arguments)
        except AssertionError:
            raise
        except BaseExceptionGroup as broken:
            if (
                broken.subgroup(AssertionError) is not None
                or broken.subgroup(asyncio.CancelledError) is not None
            ):
                raise
        except Exception:  # noqa: BLE001, S110 - any error of a broken connection
            pass
        await anyio.sleep(0.3)
    raise AssertionError("no replica answered")


async def delegate(cluster: Cluster, era: Era, key: str, number: int) -> list[str]:
    """Delegate a task, answer its question, wait for the result; returns all messages."""
    session = await call_with_retries(
        cluster,
        era,
        key,
        "delegate_task",
        prompt=f"Task {number}",
        idempotency_key=f"{era} {number}",
    )
    session_id, cursor, received, answered = session["session_id"], None, list[str](), False
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        result = await call_with_retries(
            cluster, era, key, "wait_for_sessions", session_ids=[session_id], max_wait_s=10, **more
        )
        cursor, (session,) = result["cursor"], result["sessions"]
        received += [message["message"] for message in session.get("messages", [])]
        phase = session["phase"]
        if phase == "done":
            return received
        if phase == "waiting" and not answered:
            async with connect_over_http(cluster.url, {"X-Devin-Api-Key": key}, era=era) as client:
                await client("send_message", session_id=session_id, message="strict")
            answered = True


async def listen_for_playbooks(cluster: Cluster, key: str, notifications: list[str]) -> None:
    """A client of 2026 that opens a new listen stream whenever its replica is gone."""
    while True:
        try:
            async with (
                connect_over_http(cluster.url, {"X-Devin-Api-Key": key}) as client,
                client.sdk.listen(resource_subscriptions=["devin://playbooks"]) as events,
            ):
                async for _ in events:
                    notifications += ["playbooks"]
        except Exception:  # noqa: BLE001, S110 - its replica was killed
            pass
        await anyio.sleep(0.05)


async def accept(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={})


async def delete_secrets(cluster: Cluster, key: str, count: int) -> int:
    """Deletions that the user confirms: one replica asks, another gets the answer."""
    deletions = 0
    for number in range(count):
        secret = await call_with_retries(
            cluster, "auto", key, "create_secret", type="key-value", key=f"K{number}", value="v"
        )
        for _ in range(6):
            try:
                async with connect_over_http(
                    cluster.url, {"X-Devin-Api-Key": key}, ask=accept
                ) as client:
                    result = await client("delete_secret", secret_id=secret["secret_id"])
            except Exception:  # noqa: BLE001, S112 - its replica was killed
                continue
            deletions += not result.is_error or "does not know" in str(result.content)
            break
    return deletions


async def test_clients_work_on_while_replicas_are_killed_and_added(cluster: Cluster) -> None:
    keys: dict[Era, str] = {"auto": "apk_user_modern_1", "legacy": "apk_user_legacy_2"}
    received: dict[tuple[Era, int], list[str]] = {}
    notifications: list[str] = []

    async def run(era: Era, number: int) -> None:
        received[era, number] = await delegate(cluster, era, keys[era], number)

    with anyio.fail_after(90):
        async with anyio.create_task_group() as group:
            listening = asyncio.ensure_future(
                listen_for_playbooks(cluster, "apk_user_watcher_3", notifications)
            )
            confirmed = asyncio.ensure_future(delete_secrets(cluster, "apk_user_watcher_3", 4))
            for number in range(DELEGATIONS):
                for era in keys:
                    group.start_soon(run, era, number)
            for key in keys.values():
                while len(await cluster.sessions(key)) < DELEGATIONS:  # noqa: ASYNC110 - sessions send no event
                    await anyio.sleep(0.05)
            await cluster.kill_replica()
            await (await cluster.start_replica()).wait_for_log("serving")
        assert await confirmed == 4
        notifications.clear()
        for number in range(6):  # through any replica; the listener is on one of them
            await call_with_retries(
                cluster,
                "auto",
                "apk_user_watcher_3",
                "create_playbook",
                title=f"Book {number}",
                body="b",
            )
        with anyio.move_on_after(5):
            while len(notifications) < 6:  # noqa: ASYNC110 - appended by the task above
                await anyio.sleep(0.05)
        listening.cancel()
    assert len(notifications) == 6
    for era, key in keys.items():
        assert len(await cluster.sessions(key)) == DELEGATIONS, "no session was created twice"
        for number in range(DELEGATIONS):
            texts = [text[:6] for text in received[era, number]]
            assert texts == [f"Task {number}"[:6], "I have", "strict", "Done: "], (
                f"{era} {number}: every message once and in order"
            )


class PlaybookListener:
    """A listen stream for devin://playbooks and the number of notifications on it."""

    def __init__(self, client: ToolClient) -> None:
        self._client = client
        self._events = anyio.Event()
        self.count = 0

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        uris = ["devin://playbooks"]
        async with self._client.sdk.listen(resource_subscriptions=uris) as events:
            task_status.started()
            async for _ in events:
                self.count += 1
                self._events.set()

    async def wait_for(self, count: int) -> None:
        with anyio.fail_after(HANG_SECONDS):
            while self.count < count:
                self._events = anyio.Event()
                await self._events.wait()


async def test_write_reaches_clients_and_caches_of_other_replicas(cluster: Cluster) -> None:
    """Only of the same key; what other programs publish in the channel is ignored."""
    key = {"X-Devin-Api-Key": "apk_user_cache_4"}
    first, second, _ = (f"http://127.0.0.1:{port}/mcp" for port in cluster.replicas)
    async with (
        connect_over_http(first, key) as writer,
        connect_over_http(second, key) as reader,
        connect_over_http(first, {"X-Devin-Api-Key": "apk_user_other_5"}) as other_writer,
        connect_over_http(second, {"X-Devin-Api-Key": "apk_user_other_5"}) as other_reader,
        anyio.create_task_group() as group,
    ):
        await reader.read("devin://playbooks")
        updates, other_updates = PlaybookListener(reader), PlaybookListener(other_reader)
        await group.start(updates.run)
        await group.start(other_updates.run)
        await writer.ok("create_playbook", title="Written elsewhere", body="b")
        await updates.wait_for(1)
        assert "Written elsewhere" in await reader.read("devin://playbooks"), "the cache is stale"
        await other_writer.ok("create_playbook", title="Of another key", body="b")
        await other_updates.wait_for(1)
        assert (updates.count, other_updates.count) == (1, 1)
        broker = Redis.from_url(cluster.broker)
        valid = {"from": "x", "owner": "x", "route": "POST /v1/playbooks", "ids": {}}
        for junk in (
            b"[" * 200_000,
            b"[" * 3000,
            b"\xff",
            b"null",
            b"[]",
            b"{}",
            json.dumps(valid | {"route": "DROP /v1/x"}),
            json.dumps(valid | {"ids": 5}),
        ):
            await broker.publish(CHANNEL, junk)
        await broker.aclose()
        await writer.ok("create_playbook", title="After the junk", body="b")
        await updates.wait_for(2)
        group.cancel_scope.cancel()


async def test_one_key_on_all_replicas_in_the_same_instant_starts_one_session(
    cluster: Cluster,
) -> None:
    key = {"X-Devin-Api-Key": "apk_user_instant_6"}
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connect_over_http(f"http://127.0.0.1:{port}/mcp", key))
            for port in cluster.replicas
        ]
        for number in range(4):
            task = {"prompt": f"p{number}", "idempotency_key": f"k{number}"}
            results = await asyncio.gather(
                *(client.ok("delegate_task", **task) for client in clients)
            )
            assert len({result["session_id"] for result in results}) == 1
            assert sum(result["is_new_session"] for result in results) == 1
    assert len(await cluster.sessions(key["X-Devin-Api-Key"])) == 4


async def test_server_runs_on_without_its_broker() -> None:
    async with start_process(
        "http",
        "--sandbox",
        "--port",
        "0",
        "--log-format",
        "json",
        "--redis-url",
        "redis://:secret-word@127.0.0.1:1",
    ) as server:
        url = (await server.wait_for_log("serving"))["url"]
        lost = await server.wait_for_log("replication")
        assert (lost["outcome"], lost["level"]) == ("lost", "warning")
        async with connect_over_http(url) as client:
            await client.ok("create_playbook", title="t", body="b")
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait_for_exit(close=False) == 0
    assert b"secret-word" not in server.stderr
