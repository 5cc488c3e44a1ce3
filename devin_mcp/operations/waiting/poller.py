"""One session, looked at while somebody follows it: often while things change, seldom while they rest.

v1 has no events (v1.md §3.4), so a change is noticed by looking.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from devin_mcp.api.client import DevinClient
from devin_mcp.api.clock import sleep_unless
from devin_mcp.errors import BadKey, DevinError, Invalid, NotAllowed, NotFound, Refused
from devin_mcp.observability.log import begin_call, current_call, event
from devin_mcp.operations.sessions.conversation import assign_event_ids
from devin_mcp.operations.sessions.model import Phase, Session
from devin_mcp.operations.sessions.tools import get_session

QUICK = 5.0
"""Seconds to the next look after something changed, and at first."""
AT_WORK = 20.0
"""Seconds between looks at a session that has been working for a while; the docs once advised 10 to 30."""
AT_REST = 60.0
"""Seconds between looks at one that waits or sleeps, and after repeated trouble."""
SLOW = 1.0
"""A first look that took longer than this may have begun before somebody read something newer, or older."""
REFUSALS = 3
"""Refusals in a row before a session that was seen is given up: one may be a proxy's, or a key's being renewed."""
FINAL_MESSAGE_GRACE = 60.0
"""Seconds for which Devin's last words may come after the end of its turn (v1.md §3.6)."""
FINAL_MESSAGE_GRACE_UNSEEN = 10.0
"""The same where the end of the turn was not seen, because nobody looked before."""
MESSAGE_VISIBILITY_LAG = 15.0
"""Seconds in which a session that was told something may still look as it did before."""
SLOWER = 1.5
JITTER = 0.2


@dataclass(frozen=True)
class SessionChange:
    """What one look found new, or that it cannot be looked at any more."""

    body: Session
    phase_before: Phase | None
    new_messages: int
    lost: bool = False

    @property
    def is_of_phase(self) -> bool:
        return self.lost or self.phase_before != self.body.phase


Listener = Callable[[SessionChange | None], None]
"""Called after every look, with what it found new."""


class SessionPoller:
    """One session, looked at until nobody follows it, it is over, or Devin refuses to show it."""

    def __init__(self, api: DevinClient, key: str, session_id: str) -> None:
        self.listeners: list[Listener] = []
        self.body: Session | None = None
        """As last seen."""
        self.refusal: Refused | None = None
        """Why it is not looked at any more."""
        self.seen_at = self.failed_at = 0.0
        """When the last look that worked ended, and the last that did not."""
        self._blind = False
        """Before it was seen for the first time, looks failed or took long, or something was done to it."""
        self._refusals = 0
        """In a row, since it was last seen."""
        self._touches = 0
        """How often something was done to it through this server."""
        self._poked = asyncio.Event()
        self._api = api
        self._key = key
        self._session_id = session_id
        self._ids: set[str | None] = set()
        self._retry_delay = QUICK
        self._since = api.clock.now()
        """When the phase was first seen to be what it is."""
        self._grace = FINAL_MESSAGE_GRACE_UNSEEN
        self._said_at_work: str | None = None
        """The last message that could be read while it was at work."""
        self.told_at = -MESSAGE_VISIBILITY_LAG
        self.task = asyncio.ensure_future(self._run())

    @property
    def awaiting_final_message(self) -> bool:
        """The turn ended a moment ago and what was said in it cannot be read yet."""
        body = self.body
        if body is None or body.phase not in {"waiting", "done"}:
            return False
        grace = self._grace
        if body.messages and body.messages[-1].is_devins:
            # Words that could be read while it worked need not be its last ones.
            grace = (
                FINAL_MESSAGE_GRACE_UNSEEN
                if body.messages[-1].event_id == self._said_at_work
                else 0.0
            )
        return self._api.clock.now() < self._since + grace

    def was_at_work(self) -> None:
        """Known from elsewhere, before the first look here: its turn may have ended just now."""
        if self.body is None:
            self._grace = FINAL_MESSAGE_GRACE

    def poll_now(self) -> None:
        self._poked.set()

    @property
    def recently_messaged(self) -> bool:
        """Something was said to it through this server, and it may not have noticed yet."""
        return self._api.clock.now() < self.told_at + MESSAGE_VISIBILITY_LAG

    def touched(self) -> None:
        """Something was done to it through this server: look whether that shows."""
        self._blind = self._blind or self.body is None
        self.seen_at = -math.inf  # what is known is from before
        self._touches += 1
        self.poll_now()

    async def _run(self) -> None:
        began_by = current_call.get()
        record = begin_call("watch", began_by.caller if began_by else None)
        current_call.set(record)
        started = self._api.clock.now()
        outcome, error = "crashed", None
        try:
            await self._look()
            while self.body is None or not self.body.is_over or self.awaiting_final_message:
                await self._rest()
                await self._look()
            outcome = "ok"
        except asyncio.CancelledError:
            outcome = "ok"  # nobody follows it any more
            raise
        except Refused as refusal:
            self.refusal = refusal
            outcome, error = "tool_error" if record.attempts else "refused", refusal.kind
            self.tell(None)
        finally:
            took = round((self._api.clock.now() - started) * 1000, 1)
            event(
                "mcp_call",
                level="warning" if outcome != "ok" else "info",
                call_id=record.call_id,
                method="watch",
                outcome=outcome,
                error=error,
                operation="get_session",
                effect="read",
                devin_session_id=self._session_id,
                duration_ms=took,
                attempts=record.attempts,
                status=record.status,
                bytes_out=record.bytes_out,
                bytes_in=record.bytes_in,
            )

    async def _look(self) -> None:
        began, touches = self._api.clock.now(), self._touches
        try:
            devin = get_session.at(self._api.devin(self._key))
            body = await devin.send(Session, session_id=self._session_id)
        except DevinError as trouble:
            if isinstance(trouble, BadKey | NotAllowed | NotFound | Invalid):
                self._refused(trouble)
            self._blind = True
            self._retry_delay = max(
                getattr(trouble, "retry_after", None) or 0, min(AT_REST, self._retry_delay * 2)
            )
            self.failed_at = self._api.clock.now()
            self.tell(None)
        else:
            self._blind = self._blind or self._api.clock.now() - began > SLOW
            body.url = devin.web_url(body.session_id)
            body.messages = assign_event_ids(body.messages)
            self._compare(body)
            if touches != self._touches:  # this look may have been from before
                self.seen_at = -math.inf

    def _refused(self, refusal: Refused) -> None:
        """Raises it when nothing else is to be expected: what was wrong from the first look on will not pass."""
        if isinstance(refusal, Invalid) and (self.body is not None or self.failed_at):
            return
        if self.body is None:
            raise refusal
        self._refusals += 1
        if self._refusals == 1:
            self.tell(SessionChange(self.body, self.body.phase, 0, lost=True))
        if self._refusals >= REFUSALS:
            raise refusal

    def _compare(self, body: Session) -> None:
        ids = {message.event_id for message in body.messages}
        last, new = self.body, ids - self._ids
        self._ids |= ids
        self.body, self.seen_at = body, self._api.clock.now()
        if body.is_at_work:
            self._said_at_work = body.messages[-1].event_id if body.messages else None
        change = None
        if last is None and self._blind:
            change = SessionChange(
                body, None, len(new)
            )  # what happened while nothing could be seen would never be told
        elif last is not None:
            if last.phase != body.phase:
                self._since, self._grace = self.seen_at, FINAL_MESSAGE_GRACE
            if new or _shown(last) != _shown(body) or self._refusals:
                self._retry_delay = QUICK
                change = SessionChange(body, last.phase, len(new))
            elif not self.awaiting_final_message:
                self._retry_delay = min(
                    AT_WORK if body.is_at_work else AT_REST, self._retry_delay * SLOWER
                )
        self._refusals = 0
        self.tell(change)

    def tell(self, change: SessionChange | None) -> None:
        for listener in list(self.listeners):
            listener(change)

    async def _rest(self) -> None:
        """Until the next look, or until something was done to the session through this server."""
        if await sleep_unless(
            self._poked, self._api.clock, self._retry_delay * random.uniform(1 - JITTER, 1 + JITTER)
        ):
            self._poked.clear()
            self._retry_delay = QUICK


def _shown(body: Session) -> object:
    """What a reader would see changed, beside messages: those vanish while Devin works and come back (v1.md §3.6)."""
    return body.phase, body.pull_requests, body.structured_output, body.title, body.tags
