"""stdio transport: how hosts start the server.

It exits with status 0 on end of input, on a signal, and when the host is gone.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterable
from io import TextIOWrapper
from typing import Any, Self

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

from devin_mcp.api.certificates import warn_about_ca_bundle
from devin_mcp.api.client import SHUTDOWN_GRACE_SECONDS
from devin_mcp.api.decoding import replace_lone_surrogates
from devin_mcp.observability import log, tracing
from devin_mcp.server.build import build, warn_about_key
from devin_mcp.server.context import ServerState
from devin_mcp.server.garbage_collection import freeze_loaded_objects
from devin_mcp.server.handlers import low_level_server
from devin_mcp.server.host import Host
from devin_mcp.server.standard_pipes import InputLines, OutputPipe, StandardPipes
from devin_mcp.server.unreadable_messages import AnsweredStream
from devin_mcp.settings import Settings
from devin_mcp.stop_signals import ignore_stop_signals, stop_signals

EXIT_MARGIN_SECONDS = 2.0
"""Beyond the grace period, after which the process is ended in any case."""
END_OF_INPUT = "end of input"
UNKNOWN_ERROR = "standard output cannot be written, or an internal error"
"""The SDK has the exception, and raises it only at the end of the input."""


class Stop:
    """Why the server stops, and how its process ends; the first reason counts."""

    def __init__(self) -> None:
        self.reason = ""
        self.pipes: StandardPipes | None = None
        self._began_at: float | None = None

    def begin(self, reason: str, level: log.Level = "info") -> None:
        if not self.reason:
            self.reason, self._began_at = reason, time.monotonic()
            log.event("stopping", level=level, why=reason)

    def end(self) -> None:
        """Log that the server has stopped, once."""
        began_at, self._began_at = self._began_at, None
        if began_at is not None:
            log.event("stopped", duration_ms=round(1000 * (time.monotonic() - began_at)))

    def exit_later(self, seconds: float, status: int = 0) -> None:
        """A host that closes our input but keeps our output open unread would block the exit."""
        timer = threading.Timer(seconds, self.exit, [status])
        timer.daemon = True
        timer.start()

    def exit(self, status: int = 0) -> None:
        self.end()
        tracing.flush()
        log.flush()
        if self.pipes is not None:
            self.pipes.restore()
        os._exit(status)


def serve(settings: Settings) -> int:
    """Serve until the host closes a pipe or ends, or a signal arrives. Returns the exit status."""
    stop, status = Stop(), 0

    def on_closed() -> None:
        """Exit where the SDK's reader thread is stuck in read(0), so that the process would not
        end by itself.
        """
        if not stop.reason and (problem := host.problem()):
            stop.begin(problem)  # a write found it first
        if not stop.reason:
            stop.begin(UNKNOWN_ERROR, level="error")
            stop.exit_later(EXIT_MARGIN_SECONDS, status=1)
        elif stop.reason == END_OF_INPUT:
            stop.exit_later(EXIT_MARGIN_SECONDS)
        else:
            stop.exit()

    server = build(settings, "stdio", on_closed=on_closed)
    host = Host()
    warn_about_key(settings)
    warn_about_ca_bundle(settings)
    if sys.stdin.isatty():
        log.event(
            "serving",
            on="standard input and output, for a host that starts it; `devin-mcp demo` shows how. "
            "Ctrl-C ends it.",
        )
    freeze_loaded_objects()
    try:
        anyio.run(_run, server, stop, host, backend_options={"use_uvloop": sys.platform != "win32"})
    except* (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        pass
    except* OSError:  # of standard output, such as a full disk
        log.event("crash", level="error", error="OSError")
        status = 1
    finally:
        ignore_stop_signals()
        stop.end()
    return status


async def _run(server: MCPServer[ServerState], stop: Stop, host: Host) -> None:
    if sys.platform == "win32":  # there is no signal receiver; a host that is gone closes the pipe
        await _serve(server, stop)
        return
    # The receiver outlives the group: a second signal must not shorten the grace of the first one.
    with anyio.open_signal_receiver(*stop_signals()) as received:
        async with anyio.create_task_group() as group:

            async def stop_on_signal() -> None:
                async for number in received:
                    stop.begin(number.name)
                    group.cancel_scope.cancel()

            async def stop_without_host() -> None:
                stop.begin(await host.wait_for_problem())
                group.cancel_scope.cancel()

            group.start_soon(stop_on_signal)
            group.start_soon(stop_without_host)
            await _serve(server, stop)
            group.cancel_scope.cancel()


async def _serve(server: MCPServer[ServerState], stop: Stop) -> None:
    """Like the SDK's own run_stdio_async, which accepts no other streams."""
    low_level = low_level_server(server)
    lines: deque[str] = deque()
    pipes = stop.pipes = StandardPipes.open()
    source: Any = _text_input() if pipes is None else InputLines(pipes.input)
    output: Any = None if pipes is None else OutputPipe(pipes.output)
    stdin: Any = _RecordedLines(source, stop, lines)
    try:
        async with stdio_server(stdin, output) as (incoming, outgoing):
            messages: Any = AnsweredStream(incoming, outgoing, lines)
            await low_level.run(messages, outgoing, low_level.create_initialization_options())
    finally:
        if pipes is not None:
            source.close()
            pipes.restore()
            stop.pipes = None


def _text_input() -> anyio.AsyncFile[str]:
    """Read in a worker thread."""
    return anyio.wrap_file(
        TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="\n")
    )


class _RecordedLines:
    """The lines of standard input with lone surrogates replaced; the SDK would drop such a line
    unanswered.
    """

    def __init__(self, source: AsyncIterable[str], stop: Stop, lines: deque[str]) -> None:
        """Each line is appended to `lines`, too."""
        self._source = aiter(source)
        self._stop = stop
        self._lines = lines

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            line = await anext(self._source)
        except (StopAsyncIteration, OSError):  # OSError: the terminal or the connection is gone
            self._stop.begin(END_OF_INPUT)
            self._stop.exit_later(SHUTDOWN_GRACE_SECONDS + EXIT_MARGIN_SECONDS)
            raise StopAsyncIteration from None
        line = replace_lone_surrogates(line)
        self._lines.append(line)
        return line
