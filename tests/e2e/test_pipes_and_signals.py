"""Standard streams that are closed or that nobody reads, and every way a server is told to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from devin_mcp.api.client import SHUTDOWN_GRACE_SECONDS
from tests.clock import HANG_SECONDS
from tests.e2e.pipes import (
    HANDSHAKE,
    PARENT_KILLED,
    STREAMS,
    PipedServer,
    State,
    Stream,
    start_piped,
)
from tests.e2e.processes import COMMAND, environment
from tests.upstream import KEY, Upstream, delay_reply, never_answer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX only")

STATES: tuple[State, ...] = ("closed before the start", "closed later", "open and silent")
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")
ENDINGS = (*SIGNALS, PARENT_KILLED)
CREATE = ("POST", "/v1/sessions")
EXIT_SECONDS = 20
"""Enough for an exit on a busy machine when nothing is on the wire any more."""


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
async def test_stdio_needs_both_of_its_pipes_at_the_start(stream: Stream) -> None:
    """Each way to end would find the process gone: it has ended by itself."""
    async with start_piped("--sandbox", stream=stream, state=STATES[0]) as server:
        assert await server.wait_for_exit() == 2
        log = await server.log()
    assert log.startswith(f"devin-mcp: standard {'input' if stream == 'stdin' else 'output'} is ")
    assert log.count("\n") == 1


@pytest.mark.parametrize("stream", STREAMS)
async def test_write_on_the_wire_outlives_pipes_and_signals(
    upstream: Upstream, stream: Stream
) -> None:
    """The call is cancelled at once, its POST is answered late, and the signal comes twice."""
    cells = [
        (state, ending)
        for state in STATES
        for ending in ENDINGS
        if stream == "stderr" or state != "closed before the start"
    ]
    gate = asyncio.Event()
    upstream.fail(*CREATE, *[delay_reply(gate)] * len(cells))
    settings = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with AsyncExitStack() as stack:
        servers: dict[tuple[State, str], PipedServer] = {}
        for state, ending in cells:
            start = start_piped(
                "--log-format", "json", env=settings, stream=stream, state=state, ending=ending
            )
            servers[state, ending] = await stack.enter_async_context(start)
            servers[state, ending].create_session()
        async with asyncio.timeout(HANG_SECONDS):
            await upstream.wait_for(*CREATE, len(cells))
        for (_, ending), server in servers.items():
            server.close_later()
            server.end(ending)
        assert await problems({cell: cancel(server) for cell, server in servers.items()}) == {}
        early = [cell for cell, server in servers.items() if server.alive.at_eof()]
        assert not early, "did not wait for the POST"
        for (_, ending), server in servers.items():
            if ending != PARENT_KILLED:
                server.end(ending)
        gate.set()
        ends = {cell: end_cleanly(server, cell[1]) for cell, server in servers.items()}
        assert await problems(ends) == {}


async def problems(
    checks: dict[tuple[State, str], Coroutine[Any, Any, None]],
) -> dict[tuple[State, str], str]:
    """What is wrong in each cell where something is."""
    results = await asyncio.gather(*checks.values(), return_exceptions=True)
    return {cell: repr(result) for cell, result in zip(checks, results, strict=True) if result}


async def cancel(server: PipedServer) -> None:
    """Expect that the call ends while its POST is still on the wire."""
    if server.is_readable("stderr"):
        assert (await server.wait_for_log("mcp_call"))["outcome"] == "cancelled"


async def end_cleanly(server: PipedServer, ending: str) -> None:
    """Expect an exit, and the outcome of the POST in the log."""
    status = await server.wait_for_exit(EXIT_SECONDS)
    assert ending == PARENT_KILLED or status == 0
    log = await server.log()
    assert "Traceback" not in log
    if server.is_readable("stderr"):
        assert log.count('"event": "stopping"') == 1
        assert log.count('"event": "stopped"') == 1
        assert json.loads(log.splitlines()[-1])["event"] == "stopped"
        (late,) = [line for line in log.splitlines() if '"event": "late_reply"' in line]
        assert json.loads(late)["outcome"] == "ok"


async def test_write_that_is_never_answered_ends_with_the_grace(upstream: Upstream) -> None:
    upstream.fail(*CREATE, *[never_answer] * len(ENDINGS))
    settings = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with AsyncExitStack() as stack:
        servers = {}
        for ending in ENDINGS:
            start = start_piped("--log-format", "json", env=settings, ending=ending)
            servers[ending] = await stack.enter_async_context(start)
            servers[ending].create_session()
        async with asyncio.timeout(HANG_SECONDS):
            await upstream.wait_for(*CREATE, len(ENDINGS))
        started = time.monotonic()
        for ending, server in servers.items():
            server.end(ending)
        for ending, server in servers.items():
            late = await server.wait_for_log("late_reply")
            assert (ending, late["error"]) == (ending, "reply_lost")
            await server.wait_for_exit()
    assert time.monotonic() - started < SHUTDOWN_GRACE_SECONDS + EXIT_SECONDS / 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
async def test_output_on_a_full_disk_ends_stdio_with_status_1() -> None:
    """Whether its input stays open or not."""
    async with (
        start_piped("--log-format", "json", redirection=">/dev/full") as open_server,
        start_piped("--log-format", "json", redirection=">/dev/full") as closed_server,
    ):
        for server in (open_server, closed_server):
            server.create_session()
        closed_server.close("stdin")
        for server in (open_server, closed_server):
            assert await server.wait_for_exit(EXIT_SECONDS) == 1
            log = await server.log()
            assert '"level": "error"' in log
            assert "Traceback" not in log


@pytest.mark.parametrize("writes", [False, True])
async def test_stdio_ends_by_itself_when_nobody_reads_its_output(writes: bool) -> None:
    """Its input stays open, and it may or may not have something to write."""
    async with start_piped("--sandbox", "--log-format", "json") as server:
        server.create_session()
        await server.wait_for_log("mcp_call")
        server.close("stdout")
        if writes:
            server.send({"id": 2, "method": "tools/list"})
        assert await server.wait_for_exit(EXIT_SECONDS) == 0
        log = await server.log()
    assert "standard output was closed" in log
    assert "Traceback" not in log


async def test_stdio_ends_when_its_host_is_killed_with_all_its_pipes() -> None:
    async with start_piped("--sandbox", "--log-format", "json", ending=PARENT_KILLED) as server:
        server.create_session()
        await server.wait_for_log("mcp_call")
        server.end(PARENT_KILLED)
        server.close(*STREAMS)
        await server.wait_for_exit()
    assert server.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("ending", ["end of input", "SIGTERM"])
async def test_output_blocks_again_when_the_server_has_ended(ending: str) -> None:
    """Writing without blocking is a property of the open file, which other processes may have."""
    read_end, write_end = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--sandbox"),
        stdin=asyncio.subprocess.PIPE,
        stdout=write_end,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(),
    )
    assert process.stdin is not None
    with anyio.fail_after(HANG_SECONDS):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **HANDSHAKE[0]}).encode() + b"\n")
        assert b'"serverInfo"' in await anyio.to_thread.run_sync(os.read, read_end, 100_000)
        assert os.get_blocking(write_end) is False
        if ending == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.close()
        assert await process.wait() == 0
    assert os.get_blocking(write_end) is True
    os.close(read_end)
    os.close(write_end)


async def test_output_that_is_shared_with_the_log_is_served_by_threads() -> None:
    async with start_piped("--sandbox", "--log-format", "json", redirection="2>&1") as server:
        server.create_session()
        seen: list[dict[str, Any]] = []
        while not any(message.get("id") == 1 for message in seen):
            seen.append(json.loads(await server.readers["stdout"].readline()))
        server.close("stdin")
        assert await server.wait_for_exit(EXIT_SECONDS) == 0
    assert {0, 1} <= {message.get("id") for message in seen}
