"""The context of one call: the only thing that an operation, a resource or a prompt depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from devin_mcp.api.call import ApiCall
from devin_mcp.api.endpoint import HasEndpoints
from devin_mcp.operations.cache import Cache
from devin_mcp.operations.idempotency import IdempotencyRegistry
from devin_mcp.operations.policy import Policy, SessionRateLimit
from devin_mcp.operations.sessions.conversation_cache import ConversationCache
from devin_mcp.operations.waiting.pollers import Pollers


@dataclass(frozen=True)
class Context(ApiCall):
    """One call: the API with the caller's key, and what all calls of the process share.

    `await ctx.send(get_session, Session, session_id=...)` sends a request, see api/client.py.
    """

    policy: Policy
    """What the operator allows."""
    session_limit: SessionRateLimit
    """Sessions started per key and hour."""
    cache: Cache = field(repr=False)
    """Lists that were read a moment ago, per key."""
    idempotency: IdempotencyRegistry = field(repr=False)
    """Delegations by idempotency key."""
    conversations: ConversationCache = field(repr=False)
    """Messages that were read before, per key and session."""
    pollers: Pollers = field(repr=False)
    """Sessions that are polled while somebody waits for them or watches them."""
    tool_names: frozenset[str] | None = None
    """Tools that the caller sees; None for work that is no caller's."""
    defers_waits: bool = False
    """True if the client goes on waiting by itself (tasks): then the call only looks once."""

    def offers(self, operation: Offered) -> bool:
        """Whether the caller's API has the operation, and the caller sees its tool."""
        is_visible = self.tool_names is None or operation.tool_name in self.tool_names
        return is_visible and self.has(operation)


class Offered(HasEndpoints, Protocol):
    """An operation of the catalog."""

    @property
    def tool_name(self) -> str: ...
