"""Sessions that are waited for: where the caller left off in each, how it is now, and whether that is news."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from devin_mcp.operations.sessions.model import AT_WORK, Session
from devin_mcp.operations.waiting.cursor import NOTHING, Seen
from devin_mcp.operations.waiting.poller import QUICK, SessionPoller

WaitFor = Literal["attention", "message"]


@dataclass(frozen=True)
class ReplyTo:
    """Where the caller left off when it has just said something: what comes behind that is the answer."""

    message: str
    said_at: datetime
    before: Seen
    """What is known to have been there before."""
    was_readable: bool
    """Then everything behind `before` is new; otherwise the same words may have been said earlier."""
    told: Seen | None = None
    """What the caller had been told of, if it says so: everything behind that is new to it, not the answer alone."""

    @classmethod
    def to(cls, message: str, before: Session | None, told: Seen | None) -> ReplyTo:
        """`before` is the session just before the message was sent, if it could be looked at."""
        known = NOTHING if before is None else Seen.of(before, len(before.messages))
        return cls(
            message, datetime.now(UTC), known, before is not None and bool(before.messages), told
        )

    def place_in(self, body: Session) -> int | None:
        """Where the message stands; None while the conversation cannot be read, or does not have it yet."""
        own, least = (
            self.message.split(),
            max(self.before.count, self.told.count if self.told else 0),
        )
        places = [
            place
            for place, one in enumerate(body.messages)
            if place >= least
            and not one.is_devins
            and one.message.split() == own
            and (self.was_readable or not _is_older(one.timestamp, self.said_at))
        ]
        return None if not places else places[0 if self.was_readable else -1]

    def mark_in(self, body: Session | None) -> Seen:
        """What is to be told: what came behind the message, or behind what had been told."""
        if self.told is not None:
            return replace(self.told, phase="working")
        place = None if body is None else self.place_in(body)
        return replace(
            self.before, count=self.before.count if place is None else place + 1, phase="working"
        )


CLOCKS_DIFFER = timedelta(minutes=2)


def _is_older(timestamp: str | None, moment: datetime) -> bool:
    try:
        return timestamp is not None and datetime.fromisoformat(timestamp) < moment - CLOCKS_DIFFER
    except (ValueError, TypeError):
        return False


@dataclass
class WaitTarget:
    """A session that is waited for: where the caller left off, and how it is now."""

    session_id: str
    since: Seen | ReplyTo | None
    followed: SessionPoller
    begun: float

    @classmethod
    def of(
        cls, session_id: str, since: Seen | ReplyTo | None, followed: SessionPoller, now: float
    ) -> WaitTarget:
        subject = cls(session_id, since, followed, now)
        if isinstance(since, ReplyTo) or (since is not None and since.phase in AT_WORK):
            followed.was_at_work()
        if (followed.seen_at or followed.failed_at) and subject.body is None:
            followed.poll_now()  # what is known is too old
        return subject

    @property
    def mark(self) -> Seen | None:
        """Where the caller left off: what comes behind it is told."""
        return self.since.mark_in(self.body) if isinstance(self.since, ReplyTo) else self.since

    @property
    def message_is_visible(self) -> bool:
        """What the caller said can be seen in the conversation; before that, what is there answers something else."""
        return not isinstance(self.since, ReplyTo) or (
            self.body is not None and self.since.place_in(self.body) is not None
        )

    @property
    def body(self) -> Session | None:
        """As seen a moment ago; None while it still has to be looked at, or where it cannot be looked at any more."""
        if self.followed.refusal is not None:
            return None
        return self.followed.body if self.followed.seen_at >= self.begun - QUICK else None

    @property
    def is_resolved(self) -> bool:
        return self.body is not None or self.followed.refusal is not None

    @property
    def was_polled(self) -> bool:
        return self.is_resolved or self.followed.failed_at >= self.begun

    @property
    def rests(self) -> bool:
        """Nothing will come of itself: it is not at work, and what it said last can be read."""
        if self.followed.refusal is not None:
            return True
        if self.body is None or self.body.is_at_work or self.followed.awaiting_final_message:
            return False
        # It takes Devin a moment to notice what it was just told; until then it rests as it did before.
        return (
            self.body.is_over
            or self.has_new_message
            or not (isinstance(self.since, ReplyTo) or self.followed.recently_messaged)
        )

    @property
    def has_new_message(self) -> bool:
        """Devin said something that was not told yet, and that can be an answer where one is waited for."""
        if self.body is None or not self.message_is_visible:
            return False
        place = self.since.place_in(self.body) if isinstance(self.since, ReplyTo) else None
        start = place + 1 if place is not None else self.mark.count if self.mark else 0
        return any(one.is_devins for one in self.body.messages[start:])

    def is_ready(self, wait_for: WaitFor) -> bool:
        if self.body is None:
            return False
        is_news = self.mark is None or self.mark.phase != self.body.phase or self.has_new_message
        return (self.rests and is_news) or (wait_for == "message" and self.has_new_message)
