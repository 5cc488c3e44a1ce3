"""The HTTP server in the test's own process, on a real port, and clients that send headers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import httpx2
import uvicorn
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client

from devin_mcp.api.clock import Clock
from devin_mcp.api.memory import MemoryBudget
from devin_mcp.asgi_server import bind_socket, uvicorn_config
from devin_mcp.server.context import Shutdown
from devin_mcp.server.http.limits import BODY_TIMEOUT, MAX_HEAD_BYTES, REVALIDATE_SECONDS
from devin_mcp.server.http.serve import build_app, read_caller_tokens
from devin_mcp.settings import Settings
from tests.conftest import Era, ToolClient


class QuietServer(uvicorn.Server):
    """Uvicorn that leaves the signal handlers of the test run alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def start_http_server(
    settings: Settings,
    clock: Clock | None = None,
    shutdown: Shutdown | None = None,
    body_timeout: float = BODY_TIMEOUT,
    revalidate_seconds: float = REVALIDATE_SECONDS,
    memory: MemoryBudget | None = None,
) -> AsyncIterator[str]:
    """Start the server; yields the URL of /mcp."""
    listener, address = bind_socket("127.0.0.1", 0)
    app = build_app(
        settings,
        shutdown or Shutdown(),
        read_caller_tokens(settings),
        clock=clock,
        memory=memory,
        body_timeout=body_timeout,
        revalidate_seconds=revalidate_seconds,
    )
    web = QuietServer(uvicorn_config(app, grace=1, max_head_bytes=MAX_HEAD_BYTES))
    serving = asyncio.ensure_future(web.serve(sockets=[listener]))
    try:
        yield f"{address}/mcp"
    finally:
        web.should_exit = True
        await serving


@asynccontextmanager
async def connect_over_http(
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    era: Era = "auto",
    ask: ElicitationFnT | None = None,
) -> AsyncIterator[ToolClient]:
    """Connect a client that sends these headers with every request."""
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=era, elicitation_callback=ask) as client:
            yield ToolClient(client)


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "0"},
    },
}
"""The body of a request that reaches the protocol layer and changes nothing."""

MODERN = "2026-07-28"
MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
"""The `_meta` of every request of that revision."""

ACCEPT = {"accept": "application/json, text/event-stream"}


async def request_with(
    extensions: Mapping[str, Any], url: str, method: str, **params: Any
) -> dict[str, Any]:
    """The answer to a client of 2026-07-28 that declares these extensions on this request."""
    capabilities = {"extensions": extensions}
    meta = MODERN_META | {"io.modelcontextprotocol/clientCapabilities": capabilities}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = ACCEPT | {"mcp-protocol-version": MODERN, "mcp-method": method}
    if "uri" in params:
        headers["mcp-name"] = params["uri"]
    async with httpx.AsyncClient() as http:
        reply = await http.post(url, json=message, headers=headers)
    answer: dict[str, Any] = reply.json()
    return answer
