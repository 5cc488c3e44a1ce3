"""stdio: how hosts start the server, and how it ends with exit status 0 on end of input, SIGTERM and Ctrl-C."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from io import TextIOWrapper

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

from devin_mcp.api.client import GRACE
from devin_mcp.api.decoding import replace_lone_surrogates
from devin_mcp.observability import log, tracing
from devin_mcp.server.build import build, warn_about_key
from devin_mcp.server.context import ServerState
from devin_mcp.settings.settings import Settings

SPARE = 2.0
"""Seconds beyond the grace for requests on the wire."""


def serve(settings: Settings) -> int:
    """Serve until the host closes the input or a signal comes. Returns the exit status."""
    ended_by: list[int] = []

    def leave() -> None:
        if (
            ended_by
        ):  # the SDK's reader thread is stuck in read(0): nothing else would end the process
            _leave()

    server = build(settings, "stdio", at_exit=leave)
    warn_about_key(settings)
    if sys.stdin.isatty():
        log.event(
            "serving",
            on="standard input and output, for a host that starts it; `devin-mcp demo` shows how. Ctrl-C ends it.",
        )
    gc.freeze()  # what was loaded is no garbage, now or ever; the command line turned collection off for as long as it loaded
    gc.enable()
    # Windows has no signal receiver; a host that is gone reads no more.
    try:
        anyio.run(_run, server, ended_by, backend_options={"use_uvloop": sys.platform != "win32"})
    except* (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        pass
    return 0


async def _run(server: MCPServer[ServerState], ended_by: list[int]) -> None:
    if sys.platform == "win32":
        await _serve(server)
        return
    # The receiver outlives the group: a second signal must not cut off what the first one left time to end.
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                async for number in received:
                    ended_by.append(number)
                    group.cancel_scope.cancel()

            group.start_soon(watch)
            await _serve(server)
            group.cancel_scope.cancel()


async def _serve(server: MCPServer[ServerState]) -> None:
    low = server._lowlevel_server  # as the SDK's own run_stdio_async, which takes no input of ours
    said = anyio.wrap_file(_Mended(sys.stdin.buffer, encoding="utf-8", errors="replace"))
    async with stdio_server(stdin=said) as (incoming, outgoing):
        await low.run(incoming, outgoing, low.create_initialization_options())


class _Mended(TextIOWrapper):
    """Standard input in which a text that somebody cut through an emoji can be read; the SDK would drop it unanswered."""

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        line = replace_lone_surrogates(super().readline(size))
        if not line:
            _leave_in_any_case()
        return line


def _leave_in_any_case() -> None:
    """A host that closed our input and keeps our output open without reading it would keep us for ever."""
    patience = threading.Timer(GRACE + SPARE, _leave)
    patience.daemon = True
    patience.start()


def _leave() -> None:
    tracing.flush()
    log.flush()
    os._exit(0)
