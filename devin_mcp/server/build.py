"""One MCP server from the settings, for either transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server import CacheHint, MCPServer

from devin_mcp import __version__
from devin_mcp.api.client import GRACE, Api
from devin_mcp.api.clock import CALL_DEADLINE, Clock
from devin_mcp.operations.declare import READ_ENVIRONMENT, READ_FILES, WRITE_FILES
from devin_mcp.operations.house import Files, House, Starts
from devin_mcp.server.app import App
from devin_mcp.server.calls import log_calls, refuse_unknown_prompts
from devin_mcp.server.instructions import instructions
from devin_mcp.server.tools import DevinTool
from devin_mcp.server.visibility import Transport, View, view_of
from devin_mcp.settings import Settings

SANDBOX_KEY = "apk_sandbox"
WEBSITE = "https://docs.devin.ai"


def build(
    settings: Settings,
    transport: Transport,
    *,
    clock: Clock | None = None,
    deadline: float = CALL_DEADLINE,
    grace: float = GRACE,
    at_exit: Callable[[], None] = lambda: None,
) -> MCPServer[App]:
    """The server, ready to run. `clock` and `deadline` are for tests; `at_exit` runs when all is closed.

    Raises BadSetting when a setting names a tool that does not exist.
    """
    view = view_of(settings, transport)

    @asynccontextmanager
    async def lifespan(_: MCPServer[App]) -> AsyncIterator[App]:
        api = Api(settings, app=_simulated() if settings.sandbox else None, clock=clock, deadline=deadline)
        key = SANDBOX_KEY if settings.sandbox else settings.api_key
        try:
            yield App(api, key, _house(settings, view, api.clock), settings.result_limit)
        finally:
            with anyio.CancelScope(shield=True):
                await api.aclose(grace)
            at_exit()

    return MCPServer(
        "devin-mcp",
        title="Devin (sandbox)" if settings.sandbox else "Devin",
        description="Hand tasks to Devin, follow them, answer, take the pull request.",
        instructions=instructions(view, sandbox=settings.sandbox),
        version=__version__,
        website_url=WEBSITE,
        tools=[DevinTool.of(one, view) for one in view.operations],
        lifespan=lifespan,
        middleware=[log_calls, refuse_unknown_prompts],
        # The catalogue is fixed for the life of the process; private, because later callers may see different ones.
        cache_hints={"tools/list": CacheHint(ttl_ms=3_600_000, scope="private")},
        subscriptions=False,  # nothing to announce yet, so no stream is held open
    )


def _house(settings: Settings, view: View, clock: Clock) -> House:
    return House(
        starts=Starts(settings.max_sessions, clock),
        max_acu=settings.max_acu,
        reads=Files(settings.files_root if READ_FILES in view.powers else ()),
        writes=Files(settings.files_root if WRITE_FILES in view.powers else ()),
        secret_env=frozenset(settings.secret_env if READ_ENVIRONMENT in view.powers else ()),
    )


def _simulated() -> Any:
    from devin_mcp.sandbox import sandbox_app

    return sandbox_app()
