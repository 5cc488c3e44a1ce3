"""`devin-mcp` as a process whose standard streams are pipes that a test closes, fills or leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.clock import HANG_SECONDS
from tests.e2e.processes import COMMAND, environment

Stream = Literal["stdin", "stdout", "stderr"]
State = Literal["open", "closed before the start", "closed later", "open and silent"]
PARENT_KILLED = "parent killed"

STREAMS: tuple[Stream, ...] = ("stdin", "stdout", "stderr")
CLOSING = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-"}
START_AND_WAIT = "import subprocess, sys; subprocess.Popen(sys.argv[1:], close_fds=False).wait()"
HANDSHAKE: tuple[dict[str, Any], ...] = (
    {
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "0"},
        },
    },
    {"method": "notifications/initialized"},
)
NO_VARIABLES: Mapping[str, str] = {}


@dataclass
class PipedServer:
    """A process, and this side's ends of its pipes."""

    process: subprocess.Popen[bytes]
    stream: Stream
    """The stream that is not simply open."""
    state: State
    ends: dict[Stream, int]
    alive: asyncio.StreamReader
    """Ends when no process holds the other end: then the server and its children have exited."""
    lines: list[str] = field(default_factory=list)
    """Lines of the log that were read."""
    transports: dict[Stream, asyncio.ReadTransport] = field(default_factory=dict)
    readers: dict[Stream, asyncio.StreamReader] = field(default_factory=dict)

    def is_readable(self, stream: Stream) -> bool:
        return self.stream != stream or self.state == "open"

    def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
            os.write(self.ends["stdin"], line)

    def create_session(self) -> None:
        """Make a call that sends a POST to Devin. The answers are not awaited."""
        arguments = {"name": "devin_create_session", "arguments": {"prompt": "p"}}
        self.send(*HANDSHAKE, {"id": 1, "method": "tools/call", "params": arguments})

    def close_later(self) -> None:
        """Close the stream in question, if that is its state."""
        if self.state == "closed later":
            self.close(self.stream)

    def close(self, *streams: Stream) -> None:
        for stream in streams:
            if stream in self.transports:
                self.transports.pop(stream).close()
            elif stream in self.ends:
                os.close(self.ends.pop(stream))

    def file_of(self, stream: Stream) -> str:
        """What is open in the place of this stream, where the system can say it."""
        link = Path(f"/proc/{self.process.pid}/fd/{STREAMS.index(stream)}")
        return str(link.readlink()) if link.exists() else os.devnull

    def end_group(self, ending: str) -> None:
        """Send the signal to all processes of the server, as a terminal does."""
        os.killpg(self.process.pid, getattr(signal, ending))

    def end(self, ending: str) -> None:
        """Send the signal, or kill the process that has started the server."""
        number = signal.SIGKILL if ending == PARENT_KILLED else getattr(signal, ending)
        self.process.send_signal(number)

    async def wait_for_log(self, event: str) -> dict[str, Any]:
        async with asyncio.timeout(HANG_SECONDS):
            while True:
                line = await self.readers["stderr"].readline()
                assert line, f"ended without {event}: {self.lines}"
                self.lines.append(line.decode())
                entry: dict[str, Any] = json.loads(line)
                if entry["event"] == event:
                    return entry

    async def wait_for_exit(self, within: float = HANG_SECONDS) -> int:
        """The exit status of the process that the test has started."""
        async with asyncio.timeout(within):
            await self.alive.read()
        return self.process.wait(HANG_SECONDS)

    async def log(self) -> str:
        """All of stderr, after the exit."""
        rest = await self.readers["stderr"].read() if "stderr" in self.readers else b""
        return "".join(self.lines) + rest.decode()


@contextmanager
def inherited_hangup(handler: signal.Handlers) -> Iterator[None]:
    """Processes inherit an ignored SIGHUP. The tests themselves may run under nohup, or not."""
    previous = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


def fill(write_end: int) -> None:
    """Fill a pipe, so that the next write blocks until somebody reads."""
    os.set_blocking(write_end, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write_end, b"\n" * 4096)
    with suppress(BlockingIOError):
        while True:
            os.write(write_end, b"\n")
    os.set_blocking(write_end, True)


async def read_pipe(end: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader(limit=8 * 1024 * 1024)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(end, "rb", buffering=0)
    )
    return reader, transport


@asynccontextmanager
async def start_piped(
    *arguments: str,
    env: Mapping[str, str] = NO_VARIABLES,
    stream: Stream = "stdin",
    state: State = "open",
    ending: str = "",
    redirection: str = "",
    hangup: signal.Handlers = signal.SIG_DFL,
) -> AsyncIterator[PipedServer]:
    """Start `devin-mcp`, with one of its streams in this state, and below a parent of its own if
    that is to be killed.

    The parent dies alone: the test keeps the ends of the pipes, as a process does that the host
    started later and that has inherited them.
    """
    command = [*COMMAND, *arguments]
    if state == "closed before the start":
        redirection = CLOSING[stream]
    if redirection:
        command = ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *command]
    if ending == PARENT_KILLED:
        command = [sys.executable, "-I", "-S", "-c", START_AND_WAIT, *command]
    stdin, ours = os.pipe()
    ends: dict[Stream, int] = {"stdin": ours}
    theirs = [stdin]
    for name in STREAMS[1:]:
        ends[name], write_end = os.pipe()
        theirs.append(write_end)
        if (stream, state) == (name, "open and silent"):
            fill(write_end)
    alive, write_end = os.pipe()
    theirs.append(write_end)
    with inherited_hangup(hangup):
        process = subprocess.Popen(  # noqa: ASYNC220 - asyncio's would own the pipes
            command,
            stdin=theirs[0],
            stdout=theirs[1],
            stderr=theirs[2],
            pass_fds=[write_end],
            env=environment(**{"PYTHONUNBUFFERED": "", **env}),
            start_new_session=True,
        )
    for end in theirs:
        os.close(end)
    reader, transport = await read_pipe(alive)
    server = PipedServer(process, stream, state, ends, reader)
    for name in STREAMS[1:]:
        if (stream, state) != (name, "open and silent"):
            server.readers[name], server.transports[name] = await read_pipe(ends.pop(name))
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        transport.close()
        server.close(*STREAMS)
