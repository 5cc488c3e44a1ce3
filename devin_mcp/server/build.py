"""One MCP server from the settings, for either transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import anyio
from mcp.server import CacheHint, MCPServer
from mcp.server.request_state import RequestStateBoundary

from devin_mcp import __version__
from devin_mcp.api.client import GRACE, DevinClient
from devin_mcp.api.clock import CALL_DEADLINE, Clock
from devin_mcp.errors import BadKey
from devin_mcp.keys import key_state
from devin_mcp.observability.log import event
from devin_mcp.operations.cache import Cache
from devin_mcp.operations.catalog import READ_ENVIRONMENT, READ_FILES, WRITE_FILES, toolset_of
from devin_mcp.operations.context import House, LocalFiles, SessionRateLimit
from devin_mcp.operations.idempotency import IdempotencyRegistry
from devin_mcp.operations.waiting.pollers import Pollers
from devin_mcp.server.call_log import log_calls
from devin_mcp.server.confirmation import explain_rejected_state, request_state_security
from devin_mcp.server.context import Identify, ServerState, Shutdown
from devin_mcp.server.handlers import install
from devin_mcp.server.identity import Identity
from devin_mcp.server.subscriptions import Subscriptions
from devin_mcp.server.visibility import Transport, VisibleTools, visible_tools
from devin_mcp.settings.settings import Settings

SANDBOX_KEY = "apk_sandbox"
WEBSITE = "https://docs.devin.ai"


def build(
    settings: Settings,
    transport: Transport,
    *,
    clock: Clock | None = None,
    deadline: float = CALL_DEADLINE,
    grace: float = GRACE,
    identify: Identify | None = None,
    about_keys: str = BadKey.advice_by_default,
    ending: Shutdown | None = None,
    state_key: str = "",
    at_start: Callable[[DevinClient], None] = lambda _: None,
    at_exit: Callable[[], None] = lambda: None,
) -> MCPServer[ServerState]:
    """The server, ready to run. `clock` and `deadline` are for tests.

    `identify` finds who asks where that is not always the same; `about_keys` is what they are told who have no good key.
    `state_key` seals questions where the operator has not set keys; without it, a key of this process alone.
    `at_start` runs when all is started, `ending` is told when the end begins, `at_exit` runs when all is closed.

    Raises BadSetting when a setting names a tool that does not exist.
    """
    view = visible_tools(settings, transport)
    ending = ending or Shutdown()
    own = Identity(own_key(settings))

    @asynccontextmanager
    async def lifespan(_: MCPServer[ServerState]) -> AsyncIterator[ServerState]:
        simulated = _simulated() if settings.sandbox else None
        api = DevinClient(
            settings, app=simulated, clock=clock, deadline=deadline, about_keys=about_keys
        )
        house = _house(settings, view, api.clock)
        api.writes.listeners.append(
            lambda written: house.cache.drop(written.owner, toolset_of(written.route))
        )
        following = Pollers(api)
        notices = Subscriptions(following, view)
        api.writes.listeners.append(notices.wrote)
        ending.tell(following.finish_waits)
        ending.tell(notices.close)
        try:
            async with _bus(
                settings, api, house
            ):  # around the end of the writes: other replicas hear of those, too
                try:
                    at_start(api)
                    yield ServerState(
                        api,
                        house,
                        following,
                        view,
                        notices,
                        settings.confirm,
                        identify or (lambda _: own),
                    )
                finally:
                    with anyio.CancelScope(shield=True):
                        notices.close()
                        following.close()
                        house.cache.close()
                        await api.aclose(grace)
        finally:
            at_exit()

    kept = CacheHint(ttl_ms=3_600_000, scope="private")
    server: MCPServer[ServerState] = MCPServer(
        "devin-mcp",
        title="Devin (sandbox)" if settings.sandbox else "Devin",
        description="Hand tasks to Devin, follow them, answer, take the pull request.",
        version=__version__,
        website_url=WEBSITE,
        lifespan=lifespan,
        request_state_security=request_state_security(
            settings.state_keys or ((state_key,) if state_key else ())
        ),
        # Fixed for the life of the process; private, because later callers may see different ones.
        cache_hints={"tools/list": kept, "resources/templates/list": kept},
    )
    # Inside the SDK's tracing and around its seal, so that an answer the seal refuses is logged and explained too.
    seal = next(
        place
        for place, one in enumerate(server.middleware)
        if isinstance(one, RequestStateBoundary)
    )
    server.middleware[seal:seal] = [
        log_calls,
        explain_rejected_state(shared=bool(settings.state_keys)),
    ]
    install(server, transport, sandbox=settings.sandbox)
    return server


def _bus(settings: Settings, api: DevinClient, house: House) -> AbstractAsyncContextManager[None]:
    if not settings.redis_url:
        return nullcontext()
    from devin_mcp.server.replication import relay_writes

    return relay_writes(settings.redis_url, api.writes, house.cache.drop_all)


def warn_about_key(settings: Settings) -> None:
    """The server starts without a usable key, so that a host can show what there is; the log says so at once."""
    why = {
        "missing": "DEVIN_API_KEY is not set: everything is listed and every call is refused",
        "placeholder": "DEVIN_API_KEY is a placeholder that the client did not fill in: every call is refused",
        "other_api": "DEVIN_API_KEY is a key of the Organization API, which is not served yet: every call is refused",
    }.get(key_state(settings.api_key))
    if why is not None and not settings.sandbox:
        event("no_key", level="warning", why=why)


def own_key(settings: Settings) -> str:
    return SANDBOX_KEY if settings.sandbox else settings.api_key


def _house(settings: Settings, view: VisibleTools, clock: Clock) -> House:
    return House(
        starts=SessionRateLimit(settings.max_sessions, clock),
        cache=Cache(settings.cache_ttl, clock),
        handovers=IdempotencyRegistry(),
        result_limit=settings.result_limit,
        max_acu=settings.max_acu,
        reads=LocalFiles(settings.files_root if READ_FILES in view.powers else ()),
        writes=LocalFiles(settings.files_root if WRITE_FILES in view.powers else ()),
        secret_env=frozenset(settings.allow_secret_env if READ_ENVIRONMENT in view.powers else ()),
    )


def _simulated() -> Any:
    from devin_mcp.sandbox import sandbox_app

    return sandbox_app()
