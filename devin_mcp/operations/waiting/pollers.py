"""All session pollers of the process: one per key and session, for any number of listeners."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from devin_mcp.api.clock import Clock
from devin_mcp.api.memory import MIB, MemoryBudget
from devin_mcp.api.pending_writes import WriteEvent
from devin_mcp.errors import SlowDown
from devin_mcp.keys import DevinKey
from devin_mcp.operations.parameters import bare_id
from devin_mcp.operations.waiting.poller import (
    MESSAGE_VISIBILITY_LAG_SECONDS,
    Listener,
    ReadSession,
    SessionPoller,
)

MAX_POLLERS_PER_KEY = 100
MAX_WATCHED_PER_KEY = 60
"""Of these, sessions that are only watched; the others are reserved for callers who wait."""
MAX_POLLED_BYTES = 48 * MIB
"""Messages of all sessions that are polled."""
MAX_POLLED_BYTES_PER_TENANT = 24 * MIB
"""The same per key and organization."""

PollerId = tuple[str, str]
"""Tenant and bare session id."""


class Pollers:
    """Starts a poller with its first listener and stops it with its last."""

    def __init__(self, read: ReadSession, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._budget = MemoryBudget(MAX_POLLED_BYTES)
        self._budgets: dict[str, MemoryBudget] = {}
        """Of each tenant that has pollers."""
        self._pollers: dict[str, dict[str, SessionPoller]] = {}
        """Tenant -> bare session id -> poller."""
        self._messaged_at: dict[PollerId, float] = {}
        """Time of the last message sent to each session, the oldest first; kept while the API may
        still return the state from before it."""
        self._warm: dict[PollerId, asyncio.Task[None]] = {}
        """What keeps pollers that nobody listens to for a while."""
        self.on_slot_free: Callable[[str], None] = lambda _: None
        """Receives the tenant when a poller has ended, so that another may start."""
        self.stopping = False
        """True once the server stops: waits return the current state."""

    def is_polled(self, tenant: str, session_id: str) -> bool:
        return self._get((tenant, bare_id(session_id))) is not None

    def is_live(self, tenant: str, session_id: str) -> bool:
        """True if the session was read and its listeners are notified of every further change."""
        poller = self._get((tenant, bare_id(session_id)))
        return poller is not None and poller.session is not None

    @contextmanager
    def subscribe(
        self,
        key: DevinKey,
        session_id: str,
        listener: Listener,
        *,
        max_pollers: int = MAX_POLLERS_PER_KEY,
    ) -> Iterator[SessionPoller]:
        """Poll the session and call `listener` after every poll, as long as the block lasts.

        Raises SlowDown if this key has `max_pollers` already.
        """
        poller_id = (key.tenant, bare_id(session_id))
        poller = self._get(poller_id) or self._start(poller_id, key, session_id, max_pollers)
        poller.listeners.append(listener)
        try:
            yield poller
        finally:
            poller.listeners.remove(listener)
            if not poller.listeners:
                poller.task.cancel()
                self._remove(poller_id, poller)

    def keep_warm(self, key: DevinKey, session_id: str, seconds: float) -> None:
        """Go on polling for so long, although nobody listens: a client will look again soon."""
        poller_id = (key.tenant, bare_id(session_id))
        stack = ExitStack()
        stack.enter_context(self.subscribe(key, session_id, lambda _: None))
        previous = self._warm.pop(poller_id, None)
        self._warm[poller_id] = asyncio.ensure_future(self._release(stack, poller_id, seconds))
        if previous is not None:
            previous.cancel()

    async def _release(self, stack: ExitStack, poller_id: PollerId, seconds: float) -> None:
        with stack:
            await self._clock.sleep(seconds)
        if self._warm.get(poller_id) is asyncio.current_task():
            del self._warm[poller_id]

    def assume_messaged(self, key: DevinKey, session_id: str, seconds_ago: float) -> None:
        """A message was sent to the session so long ago, by another process perhaps."""
        poller_id = (key.tenant, bare_id(session_id))
        moment = self._clock.now() - max(0.0, seconds_ago)
        self._forget_old_messages(self._clock.now())
        if moment > self._clock.now() - MESSAGE_VISIBILITY_LAG_SECONDS:
            self._messaged_at.setdefault(poller_id, moment)

    def join_round(self, tenant: str, count: int) -> int:
        """Wake at most `count` sleeping pollers of a tenant, those that are due first. Returns how
        many.
        """
        sleeping = [
            poller
            for poller in self._pollers.get(tenant, {}).values()
            if not poller.task.done() and poller.due_at < math.inf
        ]
        joining = sorted(sleeping, key=lambda poller: poller.due_at)[: max(0, count)]
        for poller in joining:
            poller.join_round()
        return len(joining)

    def finish_waits(self) -> None:
        """Let every wait return now, with what is known."""
        self.stopping = True
        for poller in self._all():
            poller.notify(None)

    def close(self) -> None:
        for task in [*self._warm.values(), *(poller.task for poller in self._all())]:
            task.cancel()

    def on_write(self, write: WriteEvent) -> None:
        """A write listener: what was just sent to a session will soon be visible in it."""
        poller_id = (write.tenant, bare_id(write.ids.get("session_id", "")))
        now = self._clock.now()
        if write.operation_id == "send_message":
            self._forget_old_messages(now)
            self._messaged_at.pop(poller_id, None)  # it goes to the end
            self._messaged_at[poller_id] = now
        tenant, session_id = poller_id
        poller = self._pollers.get(tenant, {}).get(session_id)
        if poller is not None:
            poller.messaged_at = self._messaged_at.get(poller_id, -math.inf)
            poller.invalidate()

    def _forget_old_messages(self, now: float) -> None:
        while self._messaged_at:
            oldest = next(iter(self._messaged_at))
            if self._messaged_at[oldest] > now - MESSAGE_VISIBILITY_LAG_SECONDS:
                return
            del self._messaged_at[oldest]

    def _start(
        self, poller_id: PollerId, key: DevinKey, session_id: str, max_pollers: int
    ) -> SessionPoller:
        own = self._pollers.setdefault(key.tenant, {})
        if len(own) >= max_pollers:
            raise SlowDown(
                f"With this key, {max_pollers} sessions are being followed already, the most this "
                "server allows."
            )
        messaged_at = self._messaged_at.get(poller_id, -math.inf)
        budget = self._budgets.setdefault(
            key.tenant, MemoryBudget(MAX_POLLED_BYTES_PER_TENANT, self._budget)
        )
        poller = SessionPoller(self._read, self._clock, key, session_id, messaged_at, budget)
        own[poller_id[1]] = poller
        poller.task.add_done_callback(lambda _: self._remove(poller_id, poller))
        return poller

    def _get(self, poller_id: PollerId) -> SessionPoller | None:
        """Ignores a finished poller; its done-callback removes it on the next loop iteration."""
        tenant, session_id = poller_id
        poller = self._pollers.get(tenant, {}).get(session_id)
        return None if poller is None or poller.task.done() else poller

    def _remove(self, poller_id: PollerId, poller: SessionPoller) -> None:
        tenant, session_id = poller_id
        own = self._pollers.get(tenant, {})
        if own.get(session_id) is poller:
            del own[session_id]
            if not own:
                del self._pollers[tenant], self._budgets[tenant]
            self.on_slot_free(tenant)

    def _all(self) -> list[SessionPoller]:
        return [poller for own in self._pollers.values() for poller in own.values()]
