"""`devin-mcp` as a process that tests talk to in raw JSON-RPC lines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from tests.clock import HANG_SECONDS

COMMAND = [sys.executable, "-m", "devin_mcp"]


def environment(**variables: str | None) -> dict[str, str]:
    """This process's environment with `variables`, of which None unsets, and without Devin's own.

    Bytecode may be written: otherwise every start of an installed server compiles all its libraries
    again. Coverage is not measured: that would cost a third of the time.
    """
    dropped = ("DEVIN_", "COVERAGE_", "PYTHONDONTWRITEBYTECODE")
    inherited = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(dropped)
    }
    merged = inherited | variables
    return {name: value for name, value in merged.items() if value is not None}


class Process:
    """A running devin-mcp and everything it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.stdout = b""
        self.stderr = b""

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def send_raw(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)

    async def read_message(self, within: float = HANG_SECONDS) -> dict[str, Any]:
        assert self.process.stdout is not None
        with anyio.fail_after(within):
            line = await self.process.stdout.readline()
        self.stdout += line
        message: dict[str, Any] = json.loads(line)
        return message

    async def wait_for_log(self, event: str) -> dict[str, Any]:
        """The next log line with this event."""
        assert self.process.stderr is not None
        with anyio.fail_after(HANG_SECONDS):
            while True:
                line = await self.process.stderr.readline()
                assert line, f"ended without {event}: {self.stderr.decode()}"
                self.stderr += line
                entry: dict[str, Any] = json.loads(line)
                if entry["event"] == event:
                    return entry

    async def initialize(self) -> None:
        """The handshake of the legacy era."""
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "0"},
        }
        self.send(id=0, method="initialize", params=params)
        await self.read_message()
        self.send(method="notifications/initialized")

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def wait_for_exit(self, *, close: bool = True) -> int:
        """Wait for the exit and return its status; the rest of the output is read, too."""
        if close:
            self.close_stdin()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        with anyio.fail_after(HANG_SECONDS):
            out, err = await asyncio.gather(self.process.stdout.read(), self.process.stderr.read())
            self.stdout += out
            self.stderr += err
            return await self.process.wait()


@asynccontextmanager
async def start_process(*arguments: str, **variables: str) -> AsyncIterator[Process]:
    async with start_process_in(None, *arguments, **variables) as process:
        yield process


@asynccontextmanager
async def start_process_in(
    directory: Path | None, *arguments: str, **variables: str | None
) -> AsyncIterator[Process]:
    """The same in another working directory. None unsets a variable."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environment(**variables),
        cwd=directory,
        limit=8 * 1024 * 1024,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def start_http_process(
    *arguments: str, **variables: str
) -> AsyncIterator[tuple[Process, str]]:
    """`devin-mcp http` on a free port: the process and its URL."""
    async with start_process(
        "http", "--port", "0", "--log-format", "json", *arguments, **variables
    ) as server:
        yield server, (await server.wait_for_log("serving"))["url"]
