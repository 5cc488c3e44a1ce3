"""The HTTP server of the soak: prints its port, and every half minute its tasks and held memory."""

from __future__ import annotations

import asyncio
import json
import os

import uvicorn

from devin_mcp.api.memory import MemoryBudget
from devin_mcp.asgi_server import bind_socket, uvicorn_config
from devin_mcp.observability import log_config
from devin_mcp.server.context import Shutdown
from devin_mcp.server.http.limits import MAX_CALLS_BYTES
from devin_mcp.server.http.serve import build_app
from devin_mcp.settings import resolve
from tests.benchmarks.soak import SAMPLE_SECONDS


async def serve() -> None:
    log_config.configure("info", "json")
    settings = resolve({"auth": ["caller-key"]}, os.environ)
    memory = MemoryBudget(MAX_CALLS_BYTES)
    app = build_app(settings, Shutdown(), None, memory=memory)
    listener, address = bind_socket("127.0.0.1", 0)
    print(address.rpartition(":")[2], flush=True)
    server = uvicorn.Server(uvicorn_config(app, grace=7))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not serving.done():
        await asyncio.wait({serving}, timeout=SAMPLE_SECONDS)
        print(json.dumps({"tasks": len(asyncio.all_tasks()), "used": memory.used}), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
