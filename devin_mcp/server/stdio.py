"""stdio transport: how hosts start the server. It exits with status 0 on end of input, SIGTERM and
Ctrl-C.
"""

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

from devin_mcp.api.certificates import warn_about_ca_bundle
from devin_mcp.api.client import SHUTDOWN_GRACE_SECONDS
from devin_mcp.api.decoding import replace_lone_surrogates
from devin_mcp.observability import log, tracing
from devin_mcp.server.build import build, warn_about_key
from devin_mcp.server.context import ServerState
from devin_mcp.server.handlers import low_level_server
from devin_mcp.settings import Settings

EXIT_MARGIN_SECONDS = 2.0
"""Beyond the grace period, after which the process is ended in any case."""


def serve(settings: Settings) -> int:
    """Serve until the host closes the input or a signal arrives. Returns the exit status."""
    signals: list[int] = []

    def exit_after_signal() -> None:
        if signals:  # the SDK's reader thread is stuck in read(0), so the process would not end
            _exit()

    server = build(settings, "stdio", on_closed=exit_after_signal)
    warn_about_key(settings)
    warn_about_ca_bundle(settings)
    if sys.stdin.isatty():
        log.event(
            "serving",
            on="standard input and output, for a host that starts it; `devin-mcp demo` shows how. "
            "Ctrl-C ends it.",
        )
    # The command line disabled garbage collection while loading; what was loaded is never garbage.
    gc.freeze()
    gc.enable()
    try:
        anyio.run(_run, server, signals, backend_options={"use_uvloop": sys.platform != "win32"})
    except* (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        pass
    return 0


async def _run(server: MCPServer[ServerState], signals: list[int]) -> None:
    if sys.platform == "win32":  # there is no signal receiver; a host that is gone closes the pipe
        await _serve(server)
        return
    # The receiver outlives the group: a second signal must not shorten the grace of the first one.
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        async with anyio.create_task_group() as group:

            async def stop_on_signal() -> None:
                async for number in received:
                    signals.append(number)
                    group.cancel_scope.cancel()

            group.start_soon(stop_on_signal)
            await _serve(server)
            group.cancel_scope.cancel()


async def _serve(server: MCPServer[ServerState]) -> None:
    """Like the SDK's own run_stdio_async, which accepts no other input."""
    low_level = low_level_server(server)
    lines = anyio.wrap_file(_Input(sys.stdin.buffer, encoding="utf-8", errors="replace"))
    async with stdio_server(stdin=lines) as (incoming, outgoing):
        await low_level.run(incoming, outgoing, low_level.create_initialization_options())


class _Input(TextIOWrapper):
    """Standard input with lone surrogates replaced; the SDK would drop such a line unanswered."""

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        line = replace_lone_surrogates(super().readline(size))
        if not line:
            _exit_later()
        return line


def _exit_later() -> None:
    """A host that closes our input but keeps our output open unread would block the exit."""
    timer = threading.Timer(SHUTDOWN_GRACE_SECONDS + EXIT_MARGIN_SECONDS, _exit)
    timer.daemon = True
    timer.start()


def _exit() -> None:
    tracing.flush()
    log.flush()
    os._exit(0)
