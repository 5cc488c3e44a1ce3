"""What lives as long as the server, and who asks it: the connection to Devin, the house rules, the caller and their key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcp.server import ServerRequestContext

from devin_mcp.api.client import ApiCall, DevinClient
from devin_mcp.api.retry import ReportProgress
from devin_mcp.operations.context import House
from devin_mcp.operations.waiting.pollers import Account, Pollers
from devin_mcp.server.identity import Identity
from devin_mcp.server.subscriptions import Subscriptions
from devin_mcp.server.visibility import VisibleTools


class Shutdown:
    """The moment when the server begins to end: a signal came, and what is in flight has its grace."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def tell(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def begin(self) -> None:
        for listener in self._listeners:
            listener()


@dataclass(frozen=True)
class Caller:
    """Who asks: what this request may use and see."""

    app: ServerState
    identity: Identity
    view: VisibleTools

    @property
    def house(self) -> House:
        return self.app.house

    def devin(self, tell: ReportProgress | None = None) -> ApiCall:
        return self.app.api.devin(self.identity.key, tell)

    @property
    def account(self) -> Account:
        return Account(self.devin().owner, self.identity.key)

    @property
    def kept_for_ms(self) -> int:
        """How long a host may keep what is not alive: as long as we do."""
        return int(self.house.cache.ttl * 1000)


Identify = Callable[[ServerRequestContext[Any, Any]], Identity]


@dataclass(frozen=True)
class ServerState:
    """The lifespan's state, one per process."""

    api: DevinClient
    house: House
    following: Pollers
    view: VisibleTools
    """What the operator allows; a caller may have less."""
    notices: Subscriptions
    confirm: str
    """auto, always or never."""
    identify: Identify = field(repr=False)


Asked = ServerRequestContext[ServerState, Any]
"""A request as our handlers get it."""


def caller_of(ctx: Asked) -> Caller:
    app = ctx.lifespan_context
    identity = app.identify(ctx)
    return Caller(app, identity, app.view.narrowed(identity.narrowing))
