"""Following sessions: one poller for each session and key while somebody follows it, however many do.

v1 has no events (v1.md §3.4), so a change is noticed by looking: often while things change, seldom while they rest.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from devin_mcp.api.client import Api
from devin_mcp.api.writes import Written
from devin_mcp.errors import BadKey, DevinError, Invalid, NotAllowed, NotFound, Refused, SlowDown
from devin_mcp.log import begin, current_call, event
from devin_mcp.operations.conversation import with_ids
from devin_mcp.operations.progress import Phase, SessionBody
from devin_mcp.operations.sessions import get_session

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
LAST_WORDS = 60.0
"""Seconds for which Devin's last words may come after the end of its turn (v1.md §3.6)."""
MOST = 100
"""Sessions that one key may have followed at once."""
MOST_WATCHED = 60
"""Of these, those that are only watched; the others are kept for who waits."""
FIRST_WORDS = 10.0
"""The same where the end of the turn was not seen, because nobody looked before."""
NOTICING = 15.0
"""Seconds in which a session that was told something may still look as it did before."""
SLOWER = 1.5
JITTER = 0.2


@dataclass(frozen=True)
class Change:
    """What one look found new, or that it cannot be looked at any more."""

    body: SessionBody
    phase_before: Phase | None
    new_messages: int
    lost: bool = False

    @property
    def is_of_phase(self) -> bool:
        return self.lost or self.phase_before != self.body.phase


Listener = Callable[[Change | None], None]
"""Called after every look, with what it found new."""


@dataclass(frozen=True)
class Account:
    """Whose session is followed; the key is used for looking and never shown."""

    owner: str
    key: str = field(repr=False)


class Following:
    """All pollers of the process."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pollers: dict[tuple[str, str], Followed] = {}
        self._told: dict[tuple[str, str], float] = {}
        """When something was said to a session through this server, for as long as it may not have noticed."""
        self.freed: Callable[[str], None] = lambda _: None
        """Told whose session is not followed any more, so that another one may be."""
        self.closing = False
        api.writes.listeners.append(self._poke)

    def tells_of(self, owner: str, session_id: str) -> bool:
        """It was seen and is not over: whatever happens to it now will be told."""
        followed = self._at((owner, bare(session_id)))
        return followed is not None and followed.body is not None

    def is_followed(self, owner: str, session_id: str) -> bool:
        return self._at((owner, bare(session_id))) is not None

    @contextmanager
    def follow(self, account: Account, session_id: str, listener: Listener, *, most: int = MOST) -> Iterator[Followed]:
        """Call `listener` for every change and look from now on, as long as the block lasts.

        Raises SlowDown when this key has `most` sessions followed already.
        """
        place = (account.owner, bare(session_id))
        followed = self._at(place)
        if followed is None:
            if sum(owner == account.owner for owner, _ in self._pollers) >= most:
                raise SlowDown(f"With this key, {most} sessions are being followed already, the most this server allows.")
            followed = self._pollers[place] = Followed(self._api, account.key, session_id)
            followed.told_at = self._told.get(place, -NOTICING)
            followed.task.add_done_callback(lambda _: self._forget(place, followed))
        followed.listeners.append(listener)
        try:
            yield followed
        finally:
            followed.listeners.remove(listener)
            if not followed.listeners:
                followed.task.cancel()
                self._forget(place, followed)

    def begin_to_close(self) -> None:
        """Who waits gets an answer now, with what is known."""
        self.closing = True
        for followed in list(self._pollers.values()):
            followed.tell(None)

    def close(self) -> None:
        for followed in list(self._pollers.values()):
            followed.task.cancel()

    def _at(self, place: tuple[str, str]) -> Followed | None:
        """One that has just ended is forgotten a moment later, but calls nobody any more."""
        followed = self._pollers.get(place)
        return None if followed is None or followed.task.done() else followed

    def _forget(self, place: tuple[str, str], followed: Followed) -> None:
        if self._pollers.get(place) is followed:
            del self._pollers[place]
            self.freed(place[0])

    def _poke(self, written: Written) -> None:
        """What was just told to a session soon shows in it."""
        place = (written.owner, bare(written.ids.get("session_id", "")))
        followed = self._pollers.get(place)
        now = self._api.clock.now()
        if written.route.method == "POST":
            self._told = {one: when for one, when in self._told.items() if when > now - NOTICING} | {place: now}
        if followed is not None:
            followed.told_at = self._told.get(place, -NOTICING)
            followed.touched()


def bare(session_id: str) -> str:
    """Both spellings of an id are one session (v1.md §3.1)."""
    return session_id.removeprefix("devin-")


class Followed:
    """One session, looked at until nobody follows it, it is over, or Devin refuses to show it."""

    def __init__(self, api: Api, key: str, session_id: str) -> None:
        self.listeners: list[Listener] = []
        self.body: SessionBody | None = None
        """As last seen."""
        self.refusal: Refused | None = None
        """Why it is not looked at any more."""
        self.seen_at = self.failed_at = 0.0
        """When the last look that worked ended, and the last that did not."""
        self._blind = False
        """Before it was seen for the first time, looks failed or took long, or something was done to it."""
        self._refusals = 0
        """In a row, since it was last seen."""
        self._poked = asyncio.Event()
        self._api = api
        self._key = key
        self._session_id = session_id
        self._ids: set[str | None] = set()
        self._pause = QUICK
        self._since = api.clock.now()
        """When the phase was first seen to be what it is, or something was said to it."""
        self._grace = FIRST_WORDS
        self.told_at = -NOTICING
        self.task = asyncio.ensure_future(self._run())

    @property
    def expects_words(self) -> bool:
        """The turn ended a moment ago and what was said in it cannot be read yet."""
        body = self.body
        if body is None or body.phase not in {"waiting", "done"} or (body.messages and body.messages[-1].is_devins):
            return False
        return self._api.clock.now() < self._since + self._grace

    def look_now(self) -> None:
        self._poked.set()

    @property
    def was_just_told(self) -> bool:
        """Something was said to it through this server, and it may not have noticed yet."""
        return self._api.clock.now() < self.told_at + NOTICING

    def touched(self) -> None:
        """Something was done to it through this server: look whether that shows."""
        self._blind = self._blind or self.body is None
        self.seen_at = -math.inf  # what is known is from before
        self.look_now()

    async def _run(self) -> None:
        began_by = current_call.get()
        record = begin("watch", began_by.caller if began_by else None)
        current_call.set(record)
        started = self._api.clock.now()
        outcome, error = "crashed", None
        try:
            await self._look()
            while self.body is None or not self.body.is_over or self.expects_words:
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
                "mcp_call", bad=outcome != "ok", call_id=record.call_id, method="watch", outcome=outcome, error=error,
                operation="get_session", effect="read", devin_session_id=self._session_id, duration_ms=took,
                attempts=record.attempts, status=record.status, bytes_out=record.bytes_out, bytes_in=record.bytes_in,
            )  # fmt: skip

    async def _look(self) -> None:
        began = self._api.clock.now()
        try:
            devin = get_session.at(self._api.devin(self._key))
            body = await devin.send(SessionBody, session_id=self._session_id)
        except DevinError as trouble:
            if isinstance(trouble, BadKey | NotAllowed | NotFound | Invalid):
                self._refused(trouble)
            self._blind = True
            self._pause = max(getattr(trouble, "retry_after", None) or 0, min(AT_REST, self._pause * 2))
            self.failed_at = self._api.clock.now()
            self.tell(None)
        else:
            self._blind = self._blind or self._api.clock.now() - began > SLOW
            body.url = devin.web_url(body.session_id)
            body.messages = with_ids(body.messages)
            self._compare(body)

    def _refused(self, refusal: Refused) -> None:
        """Raises it when nothing else is to be expected: what was wrong from the first look on will not pass."""
        if isinstance(refusal, Invalid) and (self.body is not None or self.failed_at):
            return
        if self.body is None:
            raise refusal
        self._refusals += 1
        if self._refusals == 1:
            self.tell(Change(self.body, self.body.phase, 0, lost=True))
        if self._refusals >= REFUSALS:
            raise refusal

    def _compare(self, body: SessionBody) -> None:
        ids = {message.event_id for message in body.messages}
        last, new = self.body, ids - self._ids
        self._ids |= ids
        self.body, self.seen_at = body, self._api.clock.now()
        change = None
        if last is None and self._blind:
            change = Change(body, None, len(new))  # what happened while nothing could be seen would never be told
        elif last is not None:
            if last.phase != body.phase:
                self._since, self._grace = self.seen_at, LAST_WORDS
            if new or _shown(last) != _shown(body) or self._refusals:
                self._pause = QUICK
                change = Change(body, last.phase, len(new))
            elif not self.expects_words:
                self._pause = min(AT_WORK if body.is_at_work else AT_REST, self._pause * SLOWER)
        self._refusals = 0
        self.tell(change)

    def tell(self, change: Change | None) -> None:
        for listener in list(self.listeners):
            listener(change)

    async def _rest(self) -> None:
        """Until the next look, or until something was done to the session through this server."""
        sleeping = asyncio.ensure_future(self._api.clock.sleep(self._pause * random.uniform(1 - JITTER, 1 + JITTER)))
        poked = asyncio.ensure_future(self._poked.wait())
        try:
            await asyncio.wait({sleeping, poked}, return_when=asyncio.FIRST_COMPLETED)
            if self._poked.is_set():
                self._poked.clear()
                self._pause = QUICK
        finally:
            sleeping.cancel()
            poked.cancel()


def _shown(body: SessionBody) -> object:
    """What a reader would see changed, beside messages: those vanish while Devin works and come back (v1.md §3.6)."""
    pull_request = body.pull_request.url if body.pull_request else None
    return body.phase, pull_request, body.structured_output, body.title, body.tags
