"""A server with operations that a test declares, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client
from mcp.server import MCPServer

from devin_mcp.api.client import DevinClient
from devin_mcp.keys import DevinKey
from devin_mcp.operations.catalog import Operation
from devin_mcp.operations.policy import Policy
from devin_mcp.operations.services import Services
from devin_mcp.server.call_log import log_calls
from devin_mcp.server.context import ServerState
from devin_mcp.server.handlers import register_handlers
from devin_mcp.server.identity import Identity
from devin_mcp.server.subscriptions import Subscriptions
from devin_mcp.server.visibility import VisibleTools
from devin_mcp.settings import Settings


def server_state(settings: Settings, *operations: Operation[Any, Any]) -> ServerState:
    client = DevinClient(settings)
    services = Services(client, Policy(result_limit=25_000), max_sessions=1, cache_ttl=0)
    visible = VisibleTools(operations, frozenset())
    subscriptions = Subscriptions(services.pollers, visible)
    identity = Identity(DevinKey(settings.api_key))
    return ServerState(services, visible, subscriptions, "auto", identity)


@asynccontextmanager
async def serve_operations(
    settings: Settings, *operations: Operation[Any, Any]
) -> AsyncIterator[Client]:
    @asynccontextmanager
    async def lifespan(_: MCPServer[ServerState]) -> AsyncIterator[ServerState]:
        state = server_state(settings, *operations)
        yield state
        await state.services.client.aclose()

    middleware = [log_calls(shared_state_keys=False)]
    server = MCPServer("operations", lifespan=lifespan, middleware=middleware)
    register_handlers(server, "stdio")
    async with Client(server) as client:
        yield client
