"""`devin-mcp http`: its standard streams, and every signal with a write on the wire."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest

from tests.clock import HANG_SECONDS
from tests.e2e.cluster import free_port, wait_until_reachable
from tests.e2e.pipes import PipedServer, State, Stream, start_piped
from tests.e2e.test_http import wait_until_refused
from tests.e2e.test_pipes_and_signals import CREATE, EXIT_SECONDS, STATES
from tests.http_client import connect_over_http
from tests.upstream import KEY, Upstream, delay_reply

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX only")


@dataclass(frozen=True)
class Cell:
    ending: str
    stream: Stream = "stderr"
    state: State = "open"
    workers: int = 1


CELLS = [
    *(Cell("SIGHUP", state=state) for state in STATES),
    Cell("SIGTERM", state="closed later"),
    Cell("SIGINT", state="open and silent"),
    *(Cell("SIGHUP", stream, "closed before the start") for stream in ("stdin", "stdout")),
    *(Cell(ending, workers=2) for ending in ("SIGINT", "SIGHUP")),
]


async def test_call_is_answered_after_each_signal_whatever_the_streams_are(
    upstream: Upstream,
) -> None:
    """The signal comes twice, and as from a terminal to all processes of the server."""
    gate = asyncio.Event()
    upstream.fail(*CREATE, *[delay_reply(gate)] * len(CELLS))
    settings = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with AsyncExitStack() as stack:
        servers: list[tuple[Cell, str, PipedServer]] = []
        for cell in CELLS:
            port = free_port()
            flags = ("http", "--port", str(port), "--workers", str(cell.workers))
            start = start_piped(
                *flags, "--log-format", "json", env=settings, stream=cell.stream, state=cell.state
            )
            server = await stack.enter_async_context(start)
            servers.append((cell, f"http://127.0.0.1:{port}/mcp", server))
        for cell, _, server in servers:
            for _ in range(cell.workers if cell.workers > 1 else 0):
                await server.wait_for_log("worker_ready")  # a worker that starts logs no stop
        calls = [asyncio.ensure_future(create_session(url)) for _, url, _ in servers]
        async with asyncio.timeout(HANG_SECONDS):
            await upstream.wait_for(*CREATE, len(CELLS))
        for cell, _, server in servers:
            if cell.state == "closed before the start":
                assert server.file_of(cell.stream) == os.devnull
            server.close_later()
            server.end_group(cell.ending)
        await asyncio.gather(*(wait_until_stopping(*row) for row in servers))
        for cell, _, server in servers:
            server.end_group(cell.ending)
        gate.set()
        session_ids = await asyncio.gather(*calls)
        assert set(session_ids) == set(upstream.organization.sessions)
        for cell, _, server in servers:
            assert (cell, await server.wait_for_exit(EXIT_SECONDS)) == (cell, 0)
            log = await server.log()
            assert "Traceback" not in log, cell
            if server.is_readable("stderr"):
                assert log.count('"event": "mcp_call"') == 1, cell
                assert log.count('"event": "stopping"') == cell.workers, cell
                assert log.count('"event": "stopped"') == cell.workers, cell


async def wait_until_stopping(cell: Cell, url: str, server: PipedServer) -> None:
    """The parent of several workers keeps the socket open as long as it waits for them."""
    if cell.workers == 1:
        await wait_until_refused(url)
        return
    for _ in range(cell.workers):
        await server.wait_for_log("stopping")


async def create_session(url: str) -> str:
    await wait_until_reachable(int(url.split(":")[2].split("/", maxsplit=1)[0]))
    async with connect_over_http(url) as client:
        await client.sdk.list_tools()  # the client validates the result with the tool's schema
        session_id: str = (await client.ok("create_session", prompt="p"))["session_id"]
        return session_id


async def test_ctrl_c_while_workers_start_is_no_traceback() -> None:
    """A terminal sends it to the workers, too, which still load their modules."""
    flags = ("http", "--port", "0", "--workers", "2", "--log-format", "json")
    async with start_piped(*flags) as server:
        await server.wait_for_log("serving")
        await asyncio.sleep(0.2)
        server.end_group("SIGINT")
        assert await server.wait_for_exit(EXIT_SECONDS) == 0
        assert "Traceback" not in await server.log()


async def test_closed_terminal_ends_the_sandbox_command_with_status_0() -> None:
    async with start_piped("sandbox", "--port", "0", "--log-format", "json") as server:
        url = (await server.wait_for_log("simulated_devin"))["url"]
        async with httpx.AsyncClient() as web:
            await web.get(url)
        server.end("SIGHUP")
        assert await server.wait_for_exit(EXIT_SECONDS) == 0
        assert "Traceback" not in await server.log()


async def test_hangup_under_nohup_changes_nothing() -> None:
    http = ("http", "--port", "0", "--workers", "2", "--log-format", "json")
    async with (
        start_piped("--log-format", "json", hangup=signal.SIG_IGN) as stdio,
        start_piped(*http, hangup=signal.SIG_IGN) as server,
    ):
        async with connect_over_http((await server.wait_for_log("serving"))["url"]) as client:
            await client.sdk.list_tools()
        stdio.create_session()
        await stdio.wait_for_log("mcp_call")
        for process in (stdio, server):
            process.end_group("SIGHUP")
            await asyncio.sleep(0.2)  # nothing says that a signal was ignored
            process.end("SIGTERM")
            assert await process.wait_for_exit(EXIT_SECONDS) == 0
            log = await process.log()
            assert '"why": "SIGTERM"' in log
            assert "SIGHUP" not in log
