"""Three replicas behind HAProxy and Redis: one is killed and one added while clients work."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import TaskStatus
from mcp.types import ElicitResult
from redis.asyncio import Redis

from devin_mcp.asgi_server import bind_socket
from devin_mcp.server.replication import CHANNEL
from tests.clock import HANG_SECONDS
from tests.conftest import Era, ToolClient
from tests.e2e.processes import Process, start_process
from tests.http_client import connect_over_http
from tests.third_party.processes import skip_or_fail

STATE_KEY = "0123456789abcdef" * 4
DELEGATIONS = 4
"""In each era."""


def system_command(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        skip_or_fail(f"there is no {name}; `python -m tests.third_party.install` installs it")
    return path


def free_port() -> int:
    listener, _ = bind_socket("127.0.0.1", 0)
    with listener:
        port: int = listener.getsockname()[1]
    return port


@asynccontextmanager
async def started(*command: str) -> AsyncIterator[None]:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def wait_until_reachable(port: int) -> None:
    with anyio.fail_after(20):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            await anyio.sleep(0.05)


@dataclass
class Cluster:
    """Replicas on fixed ports, a broker, a load balancer and the simulated Devin behind them."""

    upstream: str
    broker: str
    ports: list[int]
    url: str
    stack: AsyncExitStack
    replicas: dict[int, Process] = field(default_factory=dict)

    async def start_replica(self) -> Process:
        port = next(port for port in self.ports if port not in self.replicas)
        settings = {
            "DEVIN_BASE_URL": self.upstream,
            "DEVIN_MCP_STATE_KEYS": STATE_KEY,
            "DEVIN_MCP_REDIS_URL": self.broker,
        }
        command = [
            "http",
            "--port",
            str(port),
            "--auth",
            "caller-key",
            "--log-format",
            "json",
            "--confirm",
            "auto",
        ]
        replica = await self.stack.enter_async_context(start_process(*command, **settings))
        self.replicas[port] = replica
        return replica

    async def wait_until_balanced(self) -> None:
        """Until the balancer has found a replica that is ready."""
        with anyio.fail_after(HANG_SECONDS):
            async with httpx.AsyncClient() as web:
                while True:
                    answer = await web.get(self.url.replace("/mcp", "/readyz"))
                    if answer.status_code == 200:
                        return
                    await anyio.sleep(0.05)

    def kill_replica(self) -> None:
        port = next(iter(self.replicas))
        self.replicas[port].process.send_signal(signal.SIGKILL)

    async def sessions(self, key: str) -> list[dict[str, Any]]:
        async with httpx.AsyncClient() as web:
            answer = await web.get(
                f"{self.upstream}/v1/sessions?limit=1000",
                headers={"authorization": f"Bearer {key}"},
            )
        sessions: list[dict[str, Any]] = answer.json()["sessions"]
        return sessions


BALANCER = """
defaults
    mode http
    timeout connect 2s
    timeout client 120s
    timeout server 120s
frontend everybody
    bind 127.0.0.1:{front}
    default_backend replicas
backend replicas
    balance roundrobin
    option httpchk GET /readyz
    option http-server-close
    option redispatch 1
    retries 3
    default-server check inter 200ms fall 2 rise 1
{servers}
"""


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    redis, haproxy = system_command("redis-server"), system_command("haproxy")
    async with AsyncExitStack() as stack:
        broker, front, ports = free_port(), free_port(), [free_port() for _ in range(4)]
        await stack.enter_async_context(
            started(redis, "--port", str(broker), "--save", "", "--dir", str(tmp_path))
        )
        simulated = await stack.enter_async_context(
            start_process("sandbox", "--port", "0", "--log-format", "json")
        )
        upstream = (await simulated.wait_for_log("simulated_devin"))["url"]
        await wait_until_reachable(broker)
        cluster = Cluster(
            upstream, f"redis://127.0.0.1:{broker}", ports, f"http://127.0.0.1:{front}/mcp", stack
        )
        added = [await cluster.start_replica() for _ in range(3)]
        for replica in added:
            await replica.wait_for_log("serving")
        servers = "\n".join(f"    server replica{port} 127.0.0.1:{port}" for port in ports)
        config = tmp_path / "haproxy.cfg"
        config.write_text(BALANCER.format(front=front, servers=servers))
        await stack.enter_async_context(started(haproxy, "-f", str(config), "-db"))
        await wait_until_reachable(front)
        await cluster.wait_until_balanced()
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
    done = 0
    for number in range(count):
        secret = await call_with_retries(
            cluster, "auto", key, "create_secret", type="key-value", key=f"K{number}", value="v"
        )
        for _ in range(6):
            try:
                async with connect_over_http(
                    cluster.url, {"X-Devin-Api-Key": key}, ask=accept
                ) as client:
                    result = await client("delete_secret", secret_id=secret["id"])
            except Exception:  # noqa: BLE001, S112 - its replica was killed
                continue
            done += not result.is_error or "does not know" in str(result.content)
            break
    return done


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
                while len(await cluster.sessions(key)) < DELEGATIONS:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            cluster.kill_replica()
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


async def test_write_through_one_replica_reaches_clients_and_caches_of_the_others(
    cluster: Cluster,
) -> None:
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
