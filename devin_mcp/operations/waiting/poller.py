"""Polls one session while somebody waits for it or watches it: often while it changes, seldom while
it is idle.

v1 has no events (v1.md §3.4), so a change is noticed by polling.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from devin_mcp.api.clock import Clock, wait_for_event
from devin_mcp.api.memory import MemoryBudget, MemoryExceeded
from devin_mcp.errors import BadKey, Broken, DevinError, Invalid, NotAllowed, NotFound, Refused
from devin_mcp.keys import DevinKey
from devin_mcp.observability.log import CallRecord, begin_call, current_call, event
from devin_mcp.operations.sessions.conversation import size_of_message
from devin_mcp.operations.sessions.model import Phase, Session
from devin_mcp.operations.waiting.sent_messages import SentMessage

POLL_FAST_SECONDS = 5.0
"""Until the next poll after a change, and at first."""
POLL_WORKING_SECONDS = 20.0
"""Longest interval for a session at work; Devin's docs once advised 10 to 30 s."""
POLL_IDLE_SECONDS = 60.0
"""Longest interval for an idle session, and after repeated failures."""
BACKOFF_FACTOR = 1.5
JITTER = 0.2

FINAL_MESSAGE_GRACE_SECONDS = 60.0
"""The final message of a turn can become readable up to 60 s after the status changes (v1.md §3.6).
"""
FINAL_MESSAGE_GRACE_UNSEEN_SECONDS = 10.0
"""The same if the status change was not observed."""
SLOW_POLL_SECONDS = 1.0
"""If the first poll takes longer, its data may be older than the caller's."""
MAX_REFUSALS = 3
"""Refusals in a row before polling ends: a single one may come from a proxy or a renewed key."""

ReadSession = Callable[[DevinKey, str, Session | None], Awaitable[Session]]
"""Reads a session. The last argument is the session as it was before, if its messages need not be
read again unless the session has changed since."""


@dataclass(frozen=True)
class SessionChange:
    """What one poll found new, or that the session cannot be read any more."""

    session: Session
    previous_phase: Phase | None
    new_messages: int
    lost: bool = False

    @property
    def phase_changed(self) -> bool:
        return self.lost or self.previous_phase != self.session.phase


Listener = Callable[[SessionChange | None], None]
"""Called after every poll with the change, or None if nothing changed."""


class SessionPoller:
    """Polls until nobody listens, the session is over, or Devin refuses to show it."""

    def __init__(
        self,
        read: ReadSession,
        clock: Clock,
        key: DevinKey,
        session_id: str,
        last_sent: SentMessage,
        budget: MemoryBudget,
    ) -> None:
        self._budget = budget
        self._memory = self._budget.hold()
        self.listeners: list[Listener] = []
        self.session: Session | None = None
        """As last read."""
        self.refusal: Refused | None = None
        """Why polling ended."""
        self.polled_at = self.failed_at = 0.0
        """End of the last successful poll, and of the last failed one; 0 for never."""
        self.problem = ""
        """Why the last failed poll failed."""
        self.last_sent = last_sent
        self.due_at = math.inf
        """Time of the next poll while the poller sleeps."""
        self._may_have_missed_changes = False
        """True if changes before the first successful poll may have been missed."""
        self._refusals = 0
        """Number of refusals in a row since the last successful poll."""
        self._invalidations = 0
        self._wake = asyncio.Event()
        self._has_joined = False
        """True if the poller was woken only because others of its key are polled now."""
        self._has_settled = False
        """True if the last poll found nothing new and nothing was written since."""
        self._read = read
        self._clock = clock
        self._key = key
        self._session_id = session_id
        self._event_ids: set[str | None] = set()
        self.interval = POLL_FAST_SECONDS
        """Seconds until the next poll, roughly: short while something has just changed."""
        self._phase_since = clock.now()
        self._grace = FINAL_MESSAGE_GRACE_UNSEEN_SECONDS
        self._last_event_while_working: str | None = None
        """Event id of the last message that was readable while the session was at work."""
        self.task = asyncio.ensure_future(self._run())

    @property
    def awaiting_final_message(self) -> bool:
        """True if the turn ended a moment ago and its final message may not be readable yet."""
        session = self.session
        if session is None or session.phase not in {"waiting", "done"}:
            return False
        grace = self._grace
        last = session.messages[-1] if session.messages else None
        if last is not None and last.is_from_devin:
            # A message that was readable while Devin worked need not be the final one.
            was_readable = last.event_id == self._last_event_while_working
            grace = FINAL_MESSAGE_GRACE_UNSEEN_SECONDS if was_readable else 0.0
        return self._clock.now() < self._phase_since + grace

    @property
    def recently_messaged(self) -> bool:
        """True if a message was sent so recently that the session may not show it yet."""
        return self.last_sent.may_be_invisible(self._clock.now())

    def assume_was_working(self) -> None:
        """The session worked until now: its final message may not be readable yet."""
        if self.session is None:
            self._grace = FINAL_MESSAGE_GRACE_SECONDS

    def poll_now(self) -> None:
        self._has_joined = False
        self._wake.set()

    def join_round(self) -> None:
        """Poll now, together with others, and keep the pace."""
        self._has_joined = not self._wake.is_set()
        self._wake.set()

    def invalidate(self) -> None:
        """The session was written to through this server: what was read before is stale."""
        self._may_have_missed_changes = self._may_have_missed_changes or self.session is None
        self.polled_at = -math.inf
        self._has_settled = False
        self._invalidations += 1
        self.poll_now()

    def notify(self, change: SessionChange | None) -> None:
        for listener in list(self.listeners):
            listener(change)

    async def _run(self) -> None:
        waiting_call = current_call.get()
        call = begin_call("watch", waiting_call.who if waiting_call else None)
        current_call.set(call)
        started_at = self._clock.now()
        outcome, error = "crashed", None
        try:
            await self._poll()
            while self._has_more_to_come():
                await self._sleep()
                await self._poll()
            outcome = "ok"
        except asyncio.CancelledError:
            outcome = "ok"  # the last listener has unsubscribed
            raise
        except Refused as refusal:
            self.refusal = refusal
            outcome, error = "tool_error" if call.attempts else "refused", refusal.kind
            self.notify(None)
        finally:
            self._memory.release()
            self._log(call, outcome, error, self._clock.now() - started_at)

    def _has_more_to_come(self) -> bool:
        session, waits = self.session, self.awaiting_final_message
        return session is None or waits or session.accepts_messages or session.can_be_ended

    async def _poll(self) -> None:
        started_at, invalidations = self._clock.now(), self._invalidations
        previous = self.session if self._has_settled and not self.awaiting_final_message else None
        try:
            session = await self._read(self._key, self._session_id, previous)
            self._hold(session)
        except DevinError as error:
            if isinstance(error, BadKey | NotAllowed | NotFound | Invalid):
                self._count_refusal(error)
            self._may_have_missed_changes = True
            self._has_settled = False
            retry_after = getattr(error, "retry_after", None) or 0
            self.interval = max(retry_after, min(POLL_IDLE_SECONDS, self.interval * 2))
            self.failed_at, self.problem = self._clock.now(), error.message
            self.notify(None)
            return
        if self._clock.now() - started_at > SLOW_POLL_SECONDS:
            self._may_have_missed_changes = True
        self._compare(session)
        if invalidations != self._invalidations:  # this poll may have begun before the write
            self.polled_at = -math.inf
            self._has_settled = False

    def _hold(self, session: Session) -> None:
        """Hold this session's memory in place of the last one's. Raises Broken without room."""
        memory = self._budget.hold()
        try:
            memory.add(sum(map(size_of_message, session.messages)))
        except MemoryExceeded:
            raise Broken("The session's messages do not fit into this server's memory.") from None
        self._memory.release()
        self._memory = memory

    def _count_refusal(self, refusal: Refused) -> None:
        """Raises the refusal if it cannot be temporary, or was repeated MAX_REFUSALS times."""
        if isinstance(refusal, Invalid) and (self.session is not None or self.failed_at):
            return
        if self.session is None:
            raise refusal
        self._refusals += 1
        if self._refusals == 1:
            self.notify(SessionChange(self.session, self.session.phase, 0, lost=True))
        if self._refusals >= MAX_REFUSALS:
            raise refusal

    def _compare(self, session: Session) -> None:
        """Notify the listeners of what is new, and choose the next interval."""
        event_ids = {message.event_id for message in session.messages}
        previous, new_ids = self.session, event_ids - self._event_ids
        self._event_ids |= event_ids
        self.session, self.polled_at = session, self._clock.now()
        if session.is_working:
            messages = session.messages
            self._last_event_while_working = messages[-1].event_id if messages else None
        change = None
        if previous is None and self._may_have_missed_changes:
            change = SessionChange(session, None, len(new_ids))
        elif previous is not None:
            if previous.phase != session.phase:
                self._phase_since, self._grace = self.polled_at, FINAL_MESSAGE_GRACE_SECONDS
            if new_ids or self._refusals or _visible_state(previous) != _visible_state(session):
                self.interval = POLL_FAST_SECONDS
                change = SessionChange(session, previous.phase, len(new_ids))
            elif not self.awaiting_final_message:
                longest = POLL_WORKING_SECONDS if session.is_working else POLL_IDLE_SECONDS
                self.interval = min(longest, self.interval * BACKOFF_FACTOR)
        self._refusals = 0
        self._has_settled = previous is not None and change is None
        self.notify(change)

    async def _sleep(self) -> None:
        """Until the next poll is due, or the session was written to through this server."""
        seconds = self.interval * random.uniform(1 - JITTER, 1 + JITTER)
        self.due_at = self._clock.now() + seconds
        try:
            is_woken = await wait_for_event(self._wake, self._clock, seconds)
        finally:
            self.due_at = math.inf
        if is_woken:
            self._wake.clear()
            if not self._has_joined:
                self.interval = POLL_FAST_SECONDS
        self._has_joined = False

    def _log(self, call: CallRecord, outcome: str, error: str | None, seconds: float) -> None:
        event(
            "mcp_call",
            level="info" if outcome == "ok" else "warning",
            call_id=call.call_id,
            method="watch",
            outcome=outcome,
            error=error,
            operation="get_session",
            effect="read",
            devin_session_id=self._session_id,
            duration_ms=round(seconds * 1000, 1),
            attempts=call.attempts,
            status=call.status,
            bytes_out=call.bytes_out,
            bytes_in=call.bytes_in,
        )


def _visible_state(session: Session) -> object:
    """What counts as a change besides messages, which vanish while Devin works (v1.md §3.6)."""
    return (
        session.phase,
        session.pull_requests,
        session.structured_output,
        session.title,
        session.tags,
    )
