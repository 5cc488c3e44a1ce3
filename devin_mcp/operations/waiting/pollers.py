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
    Listener,
    ReadSession,
    SessionPoller,
)
from devin_mcp.operations.waiting.sent_messages import PollerId, SentMessages

MAX_POLLERS_PER_KEY = 100
MAX_WATCHED_PER_KEY = 60
"""Of these, sessions that are only watched; the others are reserved for callers who wait."""
MAX_POLLED_BYTES = 48 * MIB
"""Messages of all sessions that are polled."""
MAX_POLLED_BYTES_PER_TENANT = 24 * MIB
"""The same per key and organization."""


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
        self._sent = SentMessages()
        self._warm: dict[PollerId, tuple[ExitStack, asyncio.Task[None]]] = {}
        """Pollers that go on for a while although nobody listens, the oldest first: what ends that,
        and the task that does it when the time has come."""
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
        self._release(poller_id)
        task = asyncio.ensure_future(self._release_later(poller_id, seconds))
        self._warm[poller_id] = (stack, task)

    async def _release_later(self, poller_id: PollerId, seconds: float) -> None:
        await self._clock.sleep(seconds)
        stack, _ = self._warm.pop(poller_id)
        stack.close()

    def _release(self, poller_id: PollerId) -> None:
        if poller_id in self._warm:
            stack, task = self._warm.pop(poller_id)
            task.cancel()
            stack.close()

    def assume_messaged(self, key: DevinKey, session_id: str, seconds_ago: float) -> None:
        """A message was sent to the session so long ago, by another process perhaps."""
        self._sent.assume((key.tenant, bare_id(session_id)), self._clock.now(), seconds_ago)

    def set_messages_before(self, key: DevinKey, session_id: str, count: int) -> None:
        """The session had so many messages when the last one was sent."""
        poller_id = (key.tenant, bare_id(session_id))
        self._sent.set_messages_before(poller_id, count)
        if (poller := self._get(poller_id)) is not None:
            poller.last_sent = self._sent.last(poller_id)

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
        for poller_id in list(self._warm):
            self._release(poller_id)
        for poller in self._all():
            poller.task.cancel()

    def on_write(self, write: WriteEvent) -> None:
        """A write listener: what was just sent to a session will soon be visible in it."""
        poller_id = (write.tenant, bare_id(write.ids.get("session_id", "")))
        tenant, session_id = poller_id
        poller = self._pollers.get(tenant, {}).get(session_id)
        if write.operation_id == "send_message":
            session = poller.session if poller else None
            self._sent.add(poller_id, self._clock.now(), len(session.messages) if session else None)
        if poller is not None:
            poller.last_sent = self._sent.last(poller_id)
            poller.invalidate()

    def _start(
        self, poller_id: PollerId, key: DevinKey, session_id: str, max_pollers: int
    ) -> SessionPoller:
        own = self._pollers.setdefault(key.tenant, {})
        for warm_id in list(self._warm):
            if len(own) >= max_pollers and warm_id[0] == key.tenant:
                self._release(warm_id)
        if len(own) >= max_pollers:
            raise SlowDown(
                f"With this key, {max_pollers} sessions are being followed already, the most this "
                "server allows."
            )
        last_sent = self._sent.last(poller_id)
        budget = self._budgets.setdefault(
            key.tenant, MemoryBudget(MAX_POLLED_BYTES_PER_TENANT, self._budget)
        )
        poller = SessionPoller(self._read, self._clock, key, session_id, last_sent, budget)
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
