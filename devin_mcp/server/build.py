"""Builds the MCP server from the settings, for either transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server import CacheHint, MCPServer
from mcp.server.extension import Extension
from mcp.server.request_state import RequestStateBoundary

from devin_mcp import __version__
from devin_mcp.api.client import SHUTDOWN_GRACE_SECONDS, DevinClient
from devin_mcp.api.clock import Clock
from devin_mcp.api.memory import MemoryBudget
from devin_mcp.errors import BadKey
from devin_mcp.keys import API_TITLES, DEFAULT_API, LOGIN_TOKEN_PROBLEM, SANDBOX_KEYS, DevinKey
from devin_mcp.observability.log import event
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.cache import MAX_BYTES, MAX_BYTES_PER_CALLERS_KEY
from devin_mcp.operations.capabilities import READ_ENVIRONMENT, READ_FILES, WRITE_FILES
from devin_mcp.operations.local_files import LocalFiles
from devin_mcp.operations.policy import Policy
from devin_mcp.operations.services import Services
from devin_mcp.server.apps.extension import AppsExtension
from devin_mcp.server.call_log import log_calls
from devin_mcp.server.confirmation import request_state_security
from devin_mcp.server.context import Identify, ServerState, Shutdown
from devin_mcp.server.handlers import register_handlers
from devin_mcp.server.identity import Identity
from devin_mcp.server.skills import SkillsExtension
from devin_mcp.server.spans import leave_out_invisible_spans
from devin_mcp.server.subscriptions import Subscriptions
from devin_mcp.server.tasks import TasksExtension
from devin_mcp.server.visibility import Transport, VisibleTools, visible_tools
from devin_mcp.settings import CALL_DEADLINE_SECONDS, Settings, SettingsError
from devin_mcp.settings.environment import environment_value

if TYPE_CHECKING:
    from devin_mcp.server.http.call_rate import CallRate

WEBSITE = "https://docs.devin.ai"
LIST_TTL_MS = 3_600_000

KEY_WARNINGS = {
    "missing": "DEVIN_API_KEY is not set: everything is listed and every call is refused",
    "placeholder": "DEVIN_API_KEY is a placeholder that the client did not fill in: every call is "
    "refused",
    "login_token": f"DEVIN_API_KEY cannot be used: {LOGIN_TOKEN_PROBLEM} Every call is refused",
}


def build(
    settings: Settings,
    transport: Transport,
    *,
    clock: Clock | None = None,
    memory: MemoryBudget | None = None,
    deadline: float = CALL_DEADLINE_SECONDS,
    grace: float = SHUTDOWN_GRACE_SECONDS,
    identify: Identify | None = None,
    key_advice: str = BadKey.advice_by_default,
    shutdown: Shutdown | None = None,
    state_key: str = "",
    rate: CallRate | None = None,
    on_start: Callable[[DevinClient], None] = lambda _: None,
    on_closed: Callable[[], None] = lambda: None,
) -> MCPServer[ServerState]:
    """The server, ready to run.

    `identify` finds the identity of a request where it is not always the server's own. `key_advice`
    is shown to a caller without a usable key. `state_key` seals confirmation state if the
    operator has set no keys; by default a random key of this process does. `rate` is counted
    together with other replicas where there is Redis. `on_start` runs when
    everything is started, the listeners of `shutdown` when the server begins to stop, `on_closed`
    when everything is closed. `memory` bounds what all calls hold; by default nothing does. `clock`
    and `deadline` (seconds of one call) are for tests.

    Raises SettingsError if a setting names an unknown tool, or if none is left.
    """
    hide_secrets(settings)
    visible = visible_tools(settings, transport)
    if settings.auth != "caller-key":
        own_tools(settings, transport)
    shutdown = shutdown or Shutdown()
    own_identity = Identity(own_key(settings))

    @asynccontextmanager
    async def lifespan(_: MCPServer[ServerState]) -> AsyncIterator[ServerState]:
        app = _sandbox() if settings.sandbox else None
        client = DevinClient(
            settings,
            app=app,
            clock=clock,
            memory=memory,
            call_deadline=deadline,
            key_advice=key_advice,
        )
        services = Services(
            client,
            _policy(settings, visible),
            max_sessions=settings.max_sessions,
            cache_ttl=settings.cache_ttl,
            max_cached_bytes_per_tenant=MAX_BYTES_PER_CALLERS_KEY
            if settings.auth == "caller-key"
            else MAX_BYTES,
        )
        subscriptions = Subscriptions(services.pollers, visible)
        client.pending_writes.listeners.append(subscriptions.on_write)
        shutdown.on_start(services.pollers.finish_waits)
        shutdown.on_start(subscriptions.close)
        state = ServerState(
            services,
            visible,
            subscriptions,
            settings.confirm,
            own_identity,
            identify,
            settings.questions,
            apps=settings.apps,
        )
        try:
            # Closed last: other replicas are notified of writes that end during the shutdown, too.
            async with _replication(settings, services, rate):
                try:
                    on_start(client)
                    yield state
                finally:
                    with anyio.CancelScope(shield=True):
                        subscriptions.close()
                        services.close()
                        await client.aclose(grace)
        finally:
            on_closed()

    # Fixed for the life of the process; private, because callers may see different lists.
    cached = CacheHint(ttl_ms=LIST_TTL_MS, scope="private")
    state_keys = settings.state_keys or ((state_key,) if state_key else ())
    server: MCPServer[ServerState] = MCPServer(
        "devin-mcp",
        title="Devin (sandbox)" if settings.sandbox else "Devin",
        description="Hand tasks to Devin, follow them, answer, take the pull request.",
        version=__version__,
        website_url=WEBSITE,
        lifespan=lifespan,
        request_state_security=request_state_security(state_keys),
        extensions=_extensions(settings),
        cache_hints={"tools/list": cached, "resources/templates/list": cached},
    )
    leave_out_invisible_spans(server.middleware)
    _insert_call_log(server, shared_state_keys=bool(settings.state_keys))
    register_handlers(server, transport, sandbox=bool(settings.sandbox))
    return server


def _extensions(settings: Settings) -> list[Extension]:
    apps: list[Extension] = [AppsExtension()] if settings.apps else []
    return [SkillsExtension(), TasksExtension(), *apps]


def _insert_call_log(server: MCPServer[ServerState], *, shared_state_keys: bool) -> None:
    """Inside the SDK's tracing and around its request state boundary, so that a rejected state is
    logged and explained, too.
    """
    boundary = next(
        index
        for index, middleware in enumerate(server.middleware)
        if isinstance(middleware, RequestStateBoundary)
    )
    server.middleware.insert(boundary, log_calls(shared_state_keys=shared_state_keys))


@asynccontextmanager
async def _replication(
    settings: Settings, services: Services, rate: CallRate | None
) -> AsyncIterator[None]:
    if not settings.redis_url:
        yield
        return
    from devin_mcp.server.replication import replicate_writes
    from devin_mcp.server.shared_starts import share_starts

    url, writes = settings.redis_url, services.client.pending_writes
    async with replicate_writes(url, writes, services.cache.drop_all), share_starts(url, services):
        if rate is None or not rate.max_calls:
            yield
            return
        from devin_mcp.server.shared_calls import share_calls

        async with share_calls(url, rate, services.client.clock):
            yield


def warn_about_key(settings: Settings) -> None:
    """Log an unusable key. The server starts all the same, so that a host can show the tools."""
    warning = KEY_WARNINGS.get(own_key(settings).state)
    if warning is not None:
        event("no_key", level="warning", why=warning)


def hide_secrets(settings: Settings) -> None:
    """Redact the values of the allowed variables from now on, and not only once one is used."""
    redactor.hide(filter(None, map(environment_value, settings.allow_secret_env)))


def own_key(settings: Settings) -> DevinKey:
    """The server's own key. A sandbox has one organization, which needs no choice."""
    if settings.sandbox:
        return DevinKey(SANDBOX_KEYS[settings.sandbox])
    return DevinKey(settings.api_key, settings.org_id, settings.api or DEFAULT_API)


def own_tools(settings: Settings, transport: Transport) -> VisibleTools:
    """What a caller with the server's own key sees.

    Raises SettingsError if a setting names an unknown tool, or if the key's API has none of them.
    """
    key = own_key(settings)
    enabled = visible_tools(settings, transport)
    visible = enabled.of_api(key.api)
    if not visible.operations and key.state == "usable":
        names = ", ".join(sorted(toolset.name for toolset in enabled.toolsets))
        raise SettingsError(
            f"no tool is left: those of {names} do not exist on {API_TITLES[key.api]}, which the "
            "key is for"
        )
    return visible


def _policy(settings: Settings, visible: VisibleTools) -> Policy:
    """What the operator allows, as far as this transport has the capability."""
    capabilities = visible.capabilities
    readable = settings.files_root if READ_FILES in capabilities else ()
    writable = settings.files_root if WRITE_FILES in capabilities else ()
    variables = settings.allow_secret_env if READ_ENVIRONMENT in capabilities else ()
    return Policy(
        result_limit=settings.result_limit,
        max_acu=settings.max_acu,
        readable_files=LocalFiles(readable),
        writable_files=LocalFiles(writable),
        toolsets=visible.toolsets,
        secret_variables=frozenset(variables),
    )


def _sandbox() -> Any:
    from devin_mcp.sandbox import sandbox_app

    return sandbox_app()
