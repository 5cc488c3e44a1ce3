"""The built command as a process, with an environment of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

COMMAND = [sys.executable, "-m", "devin_mcp"]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with `variables` and without Devin's own.

    Bytecode may be written: otherwise every start of an installed server compiles all its libraries again.
    """
    dropped = ("DEVIN_", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return inherited | variables


class Process:
    """A running devin-mcp spoken to in raw lines."""

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

    async def line(self, within: float = 20) -> dict[str, Any]:
        assert self.process.stdout is not None
        with anyio.fail_after(within):
            line = await self.process.stdout.readline()
        self.stdout += line
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def logged(self, event: str) -> dict[str, Any]:
        """The next log line with this event."""
        assert self.process.stderr is not None
        with anyio.fail_after(20):
            while True:
                line = await self.process.stderr.readline()
                assert line, f"ended without {event}: {self.stderr.decode()}"
                self.stderr += line
                found: dict[str, Any] = json.loads(line)
                if found["event"] == event:
                    return found

    async def open(self) -> None:
        """The handshake of the older era."""
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "0"},
        }
        self.send(id=0, method="initialize", params=hello)
        await self.line()
        self.send(method="notifications/initialized")

    async def end(self, *, close: bool = True) -> int:
        """Exit status; everything still written is kept."""
        if close and self.process.stdin is not None:
            self.process.stdin.close()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        with anyio.fail_after(20):
            out, err = await asyncio.gather(self.process.stdout.read(), self.process.stderr.read())
            self.stdout += out
            self.stderr += err
            return await self.process.wait()


@asynccontextmanager
async def running(*arguments: str, **given: str) -> AsyncIterator[Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environment(**given),
        limit=8 * 1024 * 1024,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def serving(*arguments: str, **given: str) -> AsyncIterator[tuple[Process, str]]:
    """The command over HTTP, and its address."""
    async with running(
        "http", "--port", "0", "--log-format", "json", *arguments, **given
    ) as server:
        yield server, (await server.logged("serving"))["url"]
