"""Three replicas of the server behind HAProxy, with Redis between them."""

from __future__ import annotations

import asyncio
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

from devin_mcp.asgi_server import bind_socket
from tests.clock import HANG_SECONDS
from tests.e2e.processes import Process, start_process
from tests.third_party.processes import skip_or_fail

STATE_KEY = "0123456789abcdef" * 4


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

    async def kill_replica(self) -> None:
        """Kill one without warning. A connection that it accepted may break until it is gone."""
        process = self.replicas[next(iter(self.replicas))].process
        process.send_signal(signal.SIGKILL)
        await process.wait()

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


@asynccontextmanager
async def start_cluster(directory: Path) -> AsyncIterator[Cluster]:
    """Three replicas that serve; `directory` is for the files of the broker and the balancer."""
    redis, haproxy = system_command("redis-server"), system_command("haproxy")
    async with AsyncExitStack() as stack:
        broker, front, ports = free_port(), free_port(), [free_port() for _ in range(4)]
        await stack.enter_async_context(
            started(redis, "--port", str(broker), "--save", "", "--dir", str(directory))
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
        config = directory / "haproxy.cfg"
        config.write_text(BALANCER.format(front=front, servers=servers))
        await stack.enter_async_context(started(haproxy, "-f", str(config), "-db"))
        await wait_until_reachable(front)
        await cluster.wait_until_balanced()
        yield cluster
