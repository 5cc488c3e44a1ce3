"""What all calls share, one per process; it makes the context of each call."""

from __future__ import annotations

from devin_mcp.api.client import DevinClient
from devin_mcp.api.clock import Deadline
from devin_mcp.api.pending_writes import WriteEvent
from devin_mcp.api.request_state import ReportProgress
from devin_mcp.keys import DevinKey
from devin_mcp.operations.cache import MAX_BYTES, Cache
from devin_mcp.operations.catalog import toolset_of
from devin_mcp.operations.context import Context
from devin_mcp.operations.idempotency import IdempotencyRegistry
from devin_mcp.operations.policy import Policy, SessionRateLimit
from devin_mcp.operations.sessions.conversation_cache import ConversationCache
from devin_mcp.operations.sessions.model import Session
from devin_mcp.operations.sessions.tools import read_session
from devin_mcp.operations.waiting.batch import (
    SESSIONS_BY_ID,
    SessionBatches,
    messages_if_moved,
)
from devin_mcp.operations.waiting.pollers import Pollers


class Services:
    """The API client, the operator's policy, caches and pollers."""

    def __init__(
        self,
        client: DevinClient,
        policy: Policy,
        *,
        max_sessions: int,
        cache_ttl: float,
        max_cached_bytes_per_tenant: int = MAX_BYTES,
    ) -> None:
        """`max_sessions` per key and hour; `cache_ttl` in seconds, 0 caches nothing."""
        self.client = client
        self.policy = policy
        self.session_limit = SessionRateLimit(max_sessions, client.clock)
        self.cache = Cache(cache_ttl, client.clock, max_cached_bytes_per_tenant)
        self.idempotency = IdempotencyRegistry(client.clock)
        self.conversations = ConversationCache()
        self.pollers = Pollers(self._poll, client.clock)
        self.batches = SessionBatches(self.context, self.pollers.join_round)
        client.pending_writes.listeners += [self._drop_stale, self.pollers.on_write]

    def context(
        self,
        key: DevinKey,
        report: ReportProgress | None = None,
        *,
        tool_names: frozenset[str] | None = None,
    ) -> Context:
        """The context of a call that begins now."""
        clock, span = self.client.clock, self.client.call_deadline
        return Context(
            self.client,
            key,
            Deadline(clock, clock.now() + span, span),
            report,
            self.policy,
            self.session_limit,
            self.cache,
            self.idempotency,
            self.conversations,
            self.pollers,
            tool_names,
        )

    def close(self) -> None:
        """Cancel background reads."""
        self.pollers.close()
        self.batches.close()
        self.cache.close()

    async def _poll(self, key: DevinKey, session_id: str, previous: Session | None) -> Session:
        ctx = self.context(key)
        if not ctx.has(SESSIONS_BY_ID):
            return await read_session(ctx, session_id)
        session = await self.batches.read(key, session_id)
        session.messages = await messages_if_moved(ctx, session, previous)
        return session

    def _drop_stale(self, write: WriteEvent) -> None:
        self.cache.drop(write.tenant, toolset_of(write.operation_id).name)
