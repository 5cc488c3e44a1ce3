"""Three replicas behind a real load balancer and a real broker: one is killed and one added while all is going on."""

from __future__ import annotations

import asyncio
import json
import os
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
from mcp.types import ElicitResult
from redis.asyncio import Redis

from devin_mcp.asgi_server import bind_socket
from devin_mcp.server.replication import CHANNEL
from tests.conftest import Era
from tests.e2e.processes import Process, running
from tests.http_client import visiting

STATE_KEY = "0123456789abcdef" * 4
STORIES = 4
"""Delegations in each era."""


def needed(command: str) -> str:
    found = shutil.which(command)
    if found is None:
        if os.environ.get("THIRD_PARTY_REQUIRED") == "1":
            pytest.fail(f"THIRD_PARTY_REQUIRED is set, but there is no {command}")
        pytest.skip(
            f"there is no {command}; `python -m tests.third_party.install` brings it on a Debian"
        )
    return found


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


async def reachable(port: int) -> None:
    with anyio.fail_after(20):
        while True:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    return
            await anyio.sleep(0.05)


@dataclass
class Cluster:
    """Replicas on fixed ports, the broker, the balancer, and a simulated Devin that all of them talk to."""

    upstream: str
    broker: str
    ports: list[int]
    url: str
    stack: AsyncExitStack
    replicas: dict[int, Process] = field(default_factory=dict)

    async def add(self) -> None:
        port = next(one for one in self.ports if one not in self.replicas)
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
        replica = await self.stack.enter_async_context(running(*command, **settings))
        await replica.logged("serving")
        self.replicas[port] = replica

    def kill(self) -> None:
        port = next(iter(self.replicas))
        self.replicas[port].process.send_signal(signal.SIGKILL)

    async def sessions(self, key: str) -> list[dict[str, Any]]:
        async with httpx.AsyncClient() as web:
            answer = await web.get(
                f"{self.upstream}/v1/sessions?limit=1000",
                headers={"authorization": f"Bearer {key}"},
            )
        found: list[dict[str, Any]] = answer.json()["sessions"]
        return found


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
    redis, haproxy = needed("redis-server"), needed("haproxy")
    async with AsyncExitStack() as stack:
        broker, front, ports = free_port(), free_port(), [free_port() for _ in range(4)]
        await stack.enter_async_context(
            started(redis, "--port", str(broker), "--save", "", "--dir", str(tmp_path))
        )
        simulated = await stack.enter_async_context(
            running("sandbox", "--port", "0", "--log-format", "json")
        )
        upstream = (await simulated.logged("simulated_devin"))["url"]
        await reachable(broker)
        made = Cluster(
            upstream, f"redis://127.0.0.1:{broker}", ports, f"http://127.0.0.1:{front}/mcp", stack
        )
        for _ in range(3):
            await made.add()
        servers = "\n".join(f"    server replica{port} 127.0.0.1:{port}" for port in ports)
        config = tmp_path / "haproxy.cfg"
        config.write_text(BALANCER.format(front=front, servers=servers))
        await stack.enter_async_context(started(haproxy, "-f", str(config), "-db"))
        await reachable(front)
        await anyio.sleep(0.5)  # the first checks of the balancer
        yield made


async def persistently(
    cluster: Cluster, era: Era, whose: str, tool: str, **arguments: Any
) -> dict[str, Any]:
    """A call as a careful assistant makes it: once more, with the same words, when the connection broke."""
    for _ in range(6):
        try:
            async with visiting(cluster.url, {"X-Devin-Api-Key": whose}, era=era) as client:
                return await client.ok(tool, **arguments)
        except AssertionError:
            raise
        except BaseExceptionGroup as broken:
            if (
                broken.subgroup(AssertionError) is not None
                or broken.subgroup(asyncio.CancelledError) is not None
            ):
                raise
        except Exception:  # noqa: BLE001, S110 - whatever a broken connection looks like to this client
            pass
        await anyio.sleep(0.3)
    raise AssertionError("nobody answered")


async def story(cluster: Cluster, era: Era, key: str, number: int) -> list[str]:
    """A task handed over, its question answered, its result awaited: what was told, call by call."""
    made = await persistently(
        cluster,
        era,
        key,
        "delegate_task",
        prompt=f"Task {number}",
        idempotency_key=f"{era} {number}",
    )
    one, cursor, told, answered = made["session_id"], None, list[str](), False
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        got = await persistently(
            cluster, era, key, "wait_for_sessions", session_ids=[one], max_wait_s=10, **more
        )
        cursor = got["cursor"]
        told += [message["message"] for message in got["sessions"][0].get("messages", [])]
        phase = got["sessions"][0]["phase"]
        if phase == "done":
            return told
        if phase == "waiting" and not answered:
            async with visiting(cluster.url, {"X-Devin-Api-Key": key}, era=era) as client:
                await client("send_message", session_id=one, message="strict")
            answered = True


async def watching(cluster: Cluster, key: str, notifications: list[str]) -> None:
    """A client of 2026 that listens on, wherever it is put."""
    while True:
        try:
            async with (
                visiting(cluster.url, {"X-Devin-Api-Key": key}) as client,
                client.sdk.listen(resource_subscriptions=["devin://playbooks"]) as events,
            ):
                async for _ in events:
                    notifications += ["playbooks"]
        except Exception:  # noqa: BLE001, S110 - its replica was killed; it listens anew
            pass
        await anyio.sleep(0.1)


async def agrees(context: Any, params: Any) -> ElicitResult:
    await asyncio.sleep(0.2)
    return ElicitResult(action="accept", content={})


async def confirming(cluster: Cluster, key: str, count: int) -> int:
    """Deletions that the person agrees to: asked by one replica, answered to another."""
    done = 0
    for number in range(count):
        made = await persistently(
            cluster, "auto", key, "create_secret", type="key-value", key=f"K{number}", value="v"
        )
        for _ in range(6):
            try:
                async with visiting(cluster.url, {"X-Devin-Api-Key": key}, ask=agrees) as client:
                    result = await client("delete_secret", secret_id=made["id"])
            except Exception:  # noqa: BLE001, S112 - its replica was killed
                continue
            done += not result.is_error or "does not know" in str(result.content)
            break
    return done


async def test_everything_goes_on_while_replicas_come_and_go(cluster: Cluster) -> None:
    keys: dict[Era, str] = {"auto": "apk_user_modern_1", "legacy": "apk_user_legacy_2"}
    told: dict[tuple[Era, int], list[str]] = {}
    notifications: list[str] = []

    async def one(era: Era, number: int) -> None:
        told[era, number] = await story(cluster, era, keys[era], number)

    with anyio.fail_after(90):
        async with anyio.create_task_group() as group:
            listening = asyncio.ensure_future(
                watching(cluster, "apk_user_watcher_3", notifications)
            )
            confirmed = asyncio.ensure_future(confirming(cluster, "apk_user_watcher_3", 4))
            for number in range(STORIES):
                for era in keys:
                    group.start_soon(one, era, number)
            await anyio.sleep(1.5)
            cluster.kill()
            await cluster.add()
        assert await confirmed == 4
        notifications.clear()
        for number in range(
            6
        ):  # through whichever replica the balancer takes, and heard on another
            await persistently(
                cluster,
                "auto",
                "apk_user_watcher_3",
                "create_playbook",
                title=f"Book {number}",
                body="b",
            )
        with anyio.move_on_after(5):
            while len(notifications) < 6:  # noqa: ASYNC110 - heard by the task above
                await anyio.sleep(0.05)
        listening.cancel()
    assert len(notifications) == 6
    for era, key in keys.items():
        assert len(await cluster.sessions(key)) == STORIES, "nothing was started twice"
        for number in range(STORIES):
            texts = [text[:6] for text in told[era, number]]
            assert texts == [f"Task {number}"[:6], "I have", "strict", "Done: "], (
                f"{era} {number}: every word once and in order"
            )


async def test_a_change_made_through_one_replica_is_forgotten_and_heard_by_the_others(
    cluster: Cluster,
) -> None:
    key = {"X-Devin-Api-Key": "apk_user_cache_4"}
    ports = list(cluster.replicas)
    addresses = [f"http://127.0.0.1:{port}/mcp" for port in ports]
    async with (
        visiting(addresses[0], key) as one,
        visiting(addresses[1], key) as two,
        visiting(addresses[1], {"X-Devin-Api-Key": "apk_user_other_5"}) as other,
    ):
        await two.read("devin://playbooks")
        notifications: list[Any] = []
        foreign: list[Any] = []

        async def listen_on(client: Any, into: list[Any]) -> None:
            async with client.sdk.listen(resource_subscriptions=["devin://playbooks"]) as events:
                async for event in events:
                    into += [event]

        tasks = [
            asyncio.ensure_future(listen_on(two, notifications)),
            asyncio.ensure_future(listen_on(other, foreign)),
        ]
        await anyio.sleep(0.5)
        await one.ok("create_playbook", title="Written elsewhere", body="b")
        with anyio.fail_after(5):
            while not notifications:  # noqa: ASYNC110 - heard by the task above
                await anyio.sleep(0.02)
        assert "Written elsewhere" in await two.read("devin://playbooks"), (
            "what was kept is forgotten"
        )
        await anyio.sleep(0.2)
        assert foreign == []
        notifications.clear()
        broker = Redis.from_url(cluster.broker)
        good = {"from": "x", "owner": "x", "route": "POST /v1/playbooks", "ids": {}}
        for junk in (
            b"[" * 200_000,
            b"[" * 3000,
            b"\xff",
            b"null",
            b"[]",
            b"{}",
            json.dumps(good | {"route": "DROP /v1/x"}),
            json.dumps(good | {"ids": 5}),
        ):
            await broker.publish(CHANNEL, junk)
        await broker.aclose()
        await one.ok("create_playbook", title="And one more", body="b")
        with anyio.fail_after(5):
            while not notifications:  # noqa: ASYNC110 - heard by the task above
                await anyio.sleep(0.02)
        for task in tasks:
            task.cancel()


async def test_a_broker_that_is_gone_is_borne_with() -> None:
    async with running(
        "http",
        "--sandbox",
        "--port",
        "0",
        "--log-format",
        "json",
        "--redis-url",
        "redis://:secret-word@127.0.0.1:1",
    ) as server:
        url = (await server.logged("serving"))["url"]
        lost = await server.logged("replication")
        assert (lost["outcome"], lost["level"]) == ("lost", "warning")
        async with visiting(url) as client:
            await client.ok("create_playbook", title="t", body="b")
        server.process.send_signal(signal.SIGTERM)
        assert await server.end(close=False) == 0
    assert b"secret-word" not in server.stderr
