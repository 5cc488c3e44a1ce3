"""The HTTP server in a process of its own, which measures how long its event loop is blocked.

GET /blocked answers with the longest time in seconds since the last such request.
"""

from __future__ import annotations

import asyncio
import os
import time

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from devin_mcp.asgi_server import bind_socket, uvicorn_config
from devin_mcp.observability import log_config
from devin_mcp.server.context import Shutdown
from devin_mcp.server.garbage_collection import freeze_loaded_objects
from devin_mcp.server.http.limits import MAX_HEAD_BYTES
from devin_mcp.server.http.serve import build_app
from devin_mcp.settings import resolve

TICK_SECONDS = 0.002


class LoopWatch:
    """ASGI middleware that watches the loop it runs on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._longest = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/blocked":
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(TICK_SECONDS * 3)
        longest, self._longest = self._longest, 0.0
        await JSONResponse(longest)(scope, receive, send)

    async def run(self) -> None:
        """What other processes of a busy machine take does not count: the processor time of this
        one bounds how long it blocked its loop.
        """
        while True:
            started_at, used_before = time.perf_counter(), time.process_time()
            await asyncio.sleep(TICK_SECONDS)
            late = time.perf_counter() - started_at - TICK_SECONDS
            self._longest = max(self._longest, min(late, time.process_time() - used_before))


async def serve() -> None:
    log_config.configure("error", "json")
    settings = resolve({"auth": ["caller-key"]}, os.environ)
    watch = LoopWatch(build_app(settings, Shutdown(), None))
    freeze_loaded_objects()
    listener, address = bind_socket("127.0.0.1", 0)
    print(address, flush=True)
    watching = asyncio.ensure_future(watch.run())
    config = uvicorn_config(watch, grace=1, max_head_bytes=MAX_HEAD_BYTES)
    await uvicorn.Server(config).serve([listener])
    watching.cancel()


if __name__ == "__main__":
    asyncio.run(serve())
