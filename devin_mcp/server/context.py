"""The state of the server process, and the caller of the current request."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from mcp.server import ServerRequestContext

from devin_mcp.api.request_state import ReportProgress
from devin_mcp.operations.context import Context
from devin_mcp.operations.services import Services
from devin_mcp.operations.waiting.question import SettledQuestions
from devin_mcp.server.identity import Identity
from devin_mcp.server.subscriptions import Subscriptions
from devin_mcp.server.visibility import UNRESTRICTED, VisibleTools


class Shutdown:
    """Shutdown hook: listeners run when a stop signal arrives, before the grace period."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def on_start(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def start(self) -> None:
        for listener in self._listeners:
            listener()


Identify = Callable[[ServerRequestContext[Any, Any]], Identity]


@dataclass(frozen=True)
class ServerState:
    """The SDK's lifespan state, one per process."""

    services: Services
    visible: VisibleTools
    """What the operator allows; a caller may see less."""
    subscriptions: Subscriptions
    confirm: str
    """When a person is asked before something is destroyed: auto, always or never."""
    own_identity: Identity
    """The server's own key; the only identity over stdio."""
    identify: Identify | None = field(default=None, repr=False)
    """Finds the identity of a request where it is not always the same."""
    questions: str = "person"
    """Who gets Devin's question first: person or model."""
    apps: bool = True
    """Whether hosts that render MCP Apps are offered the session board."""
    settled: SettledQuestions = field(default_factory=SettledQuestions, repr=False)


class NewContext(Protocol):
    def __call__(self, report: ReportProgress | None = None) -> Context: ...


@dataclass(frozen=True)
class CallerContext:
    """The caller of a request: identity, visible tools, and the way to Devin with its key."""

    state: ServerState
    identity: Identity
    visible: VisibleTools
    context: NewContext = field(repr=False)
    """Makes the context of an operation that begins now, with the caller's key."""

    @property
    def cache_ttl_ms(self) -> int:
        """How long a host may cache what is not volatile: as long as this server does."""
        return int(self.state.services.cache.ttl * 1000)


RequestContext = ServerRequestContext[ServerState, Any]

current_caller: ContextVar[CallerContext] = ContextVar("current_caller")
"""Set once per request by the middleware in call_log.py."""


def caller_of(ctx: RequestContext) -> CallerContext:
    """Identify the caller of a request."""
    state = ctx.lifespan_context
    identity = state.own_identity if state.identify is None else state.identify(ctx)
    visible = state.visible.of_api(identity.key.api)
    if identity.restriction != UNRESTRICTED:
        visible = visible.restricted(identity.restriction)
    context = partial(state.services.context, identity.key, tool_names=visible.names)
    return CallerContext(state, identity, visible, context)
