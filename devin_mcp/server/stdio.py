"""stdio: how hosts start the server, and how it ends with exit status 0 on end of input, SIGTERM and Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys

import anyio
from mcp.server import MCPServer

from devin_mcp.server.app import App
from devin_mcp.server.build import build
from devin_mcp.settings import Settings


def serve(settings: Settings) -> int:
    """Serve until the host closes the input or a signal comes. Returns the exit status."""
    ended_by: list[int] = []

    def leave() -> None:
        if ended_by:  # the SDK's reader thread is stuck in read(0): nothing else would end the process
            sys.stderr.flush()
            os._exit(0)

    server = build(settings, "stdio", at_exit=leave)
    try:
        anyio.run(_run, server, ended_by, backend_options={"use_uvloop": sys.platform != "win32"})
    except KeyboardInterrupt:  # Windows has no signal receiver
        return 0
    return 0


async def _run(server: MCPServer[App], ended_by: list[int]) -> None:
    if sys.platform == "win32":
        await server.run_stdio_async()
        return
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
                async for number in received:
                    ended_by.append(number)
                    group.cancel_scope.cancel()
                    return

        group.start_soon(watch)
        await server.run_stdio_async()
        group.cancel_scope.cancel()
