"""A session that is waited for: what the caller has seen of it, its state now, and whether that is
new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from devin_mcp.operations.sessions.conversation import words_of
from devin_mcp.operations.sessions.model import WORKING_PHASES, Session
from devin_mcp.operations.waiting.cursor import NOTHING_SEEN, Seen
from devin_mcp.operations.waiting.poller import POLL_FAST_SECONDS, SessionPoller

WaitFor = Literal["attention", "message"]

MAX_CLOCK_DIFFERENCE = timedelta(minutes=2)


@dataclass(frozen=True)
class ReplyTo:
    """What the caller had seen when it sent a message. Later messages are the reply."""

    message: str
    sent_at: datetime
    before: Seen
    """What was in the session before the message."""
    was_readable: bool
    """True if the conversation was readable before: then the position identifies the message,
    otherwise its time.
    """
    seen: Seen | None = None
    """What the caller had seen, if it passed a cursor: then everything after that is new to it."""

    @classmethod
    def to(cls, message: str, before: Session | None, seen: Seen | None) -> ReplyTo:
        """`before` is the session just before the message was sent, None if unreadable."""
        seen_before = NOTHING_SEEN if before is None else Seen.of(before, len(before.messages))
        readable = before is not None and bool(before.messages)
        return cls(message, datetime.now(UTC), seen_before, readable, seen)

    def find(self, session: Session) -> int | None:
        """The index of the message; None while it is not in the readable conversation."""
        words = words_of(self.message)
        first = max(self.before.message_count, self.seen.message_count if self.seen else 0)
        matches = [
            index
            for index, message in enumerate(session.messages)
            if index >= first
            and not message.is_from_devin
            and words_of(message.message) == words
            and (self.was_readable or not _is_older(message.created_at, self.sent_at))
        ]
        if not matches:
            return None
        return matches[0 if self.was_readable else -1]

    def seen_in(self, session: Session | None) -> Seen:
        """What the caller has seen: all up to its own message, or up to its cursor."""
        if self.seen is not None:
            return replace(self.seen, phase="working")
        index = None if session is None else self.find(session)
        count = self.before.message_count if index is None else index + 1
        return replace(self.before, message_count=count, phase="working")


def _is_older(timestamp: str | None, moment: datetime) -> bool:
    if timestamp is None:
        return False
    try:
        return datetime.fromisoformat(timestamp) < moment - MAX_CLOCK_DIFFERENCE
    except (ValueError, TypeError):
        return False


@dataclass
class WaitTarget:
    """One session of a wait."""

    session_id: str
    origin: Seen | ReplyTo | None
    """Where the caller continues from; None if it has seen nothing."""
    poller: SessionPoller
    started_at: float

    @classmethod
    def start(
        cls, session_id: str, origin: Seen | ReplyTo | None, poller: SessionPoller, now: float
    ) -> WaitTarget:
        target = cls(session_id, origin, poller, now)
        if isinstance(origin, ReplyTo) or (origin is not None and origin.phase in WORKING_PHASES):
            poller.assume_was_working()
        if (poller.polled_at or poller.failed_at) and target.session is None:
            poller.poll_now()  # the state of the poller is stale
        return target

    def poll_unless_since(self, moment: float) -> None:
        """Poll now, unless that was done since then or is being done: many may wait for it."""
        last = max(self.poller.polled_at, self.poller.failed_at)
        if last < moment and math.isfinite(self.poller.due_at):
            self.poller.join_round()

    @property
    def session(self) -> Session | None:
        """As read a moment ago; None before the first poll and if it cannot be read any more."""
        if self.poller.refusal is not None:
            return None
        is_recent = self.poller.polled_at >= self.started_at - POLL_FAST_SECONDS
        return self.poller.session if is_recent else None

    @property
    def seen(self) -> Seen | None:
        """What the caller has seen: everything after it is new."""
        if isinstance(self.origin, ReplyTo):
            return self.origin.seen_in(self.session)
        return self.origin

    @property
    def message_is_visible(self) -> bool:
        """True once the message just sent appears in the conversation.

        Earlier messages are not a reply to it.
        """
        if not isinstance(self.origin, ReplyTo):
            return True
        return self.session is not None and self.origin.find(self.session) is not None

    @property
    def is_resolved(self) -> bool:
        """True if the session was read, or cannot be read."""
        return self.session is not None or self.poller.refusal is not None

    @property
    def was_polled(self) -> bool:
        """True if at least one poll of this wait has ended."""
        return self.is_resolved or self.poller.failed_at >= self.started_at

    @property
    def is_idle(self) -> bool:
        """True if the session is idle and its final message is readable.

        It will not change without input.
        """
        if self.poller.refusal is not None:
            return True
        session = self.session
        if session is None or session.is_working or self.poller.awaiting_final_message:
            return False
        if not session.accepts_messages:
            return True
        if isinstance(self.origin, ReplyTo):
            return self.has_new_message
        # A session shows its old state for a moment after a message was sent to it.
        return not self.poller.recently_messaged or self._has_reply

    @property
    def _has_reply(self) -> bool:
        """True if Devin wrote something after the message that was sent a moment ago."""
        count = self.poller.last_sent.messages_before
        if self.session is None or count is None:
            return self.has_new_message
        return any(message.is_from_devin for message in self.session.messages[count:])

    @property
    def has_new_message(self) -> bool:
        """True if Devin wrote something that the caller has not seen, and that may be its reply."""
        if self.session is None or not self.message_is_visible:
            return False
        index = self.origin.find(self.session) if isinstance(self.origin, ReplyTo) else None
        first = self.seen.message_count if self.seen else 0
        if index is not None:
            first = index + 1
        return any(message.is_from_devin for message in self.session.messages[first:])

    def is_ready(self, wait_for: WaitFor) -> bool:
        """True if this session fulfils the condition of the wait."""
        if self.session is None:
            return False
        if wait_for == "message" and self.has_new_message:
            return True
        phase_is_new = self.seen is None or self.seen.phase != self.session.phase
        return self.is_idle and (phase_is_new or self.has_new_message)
