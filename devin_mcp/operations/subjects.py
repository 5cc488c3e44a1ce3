"""Sessions that are waited for: where the caller left off in each, how it is now, and whether that is news."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from devin_mcp.operations.cursors import NOTHING, Mark
from devin_mcp.operations.follow import QUICK, Followed
from devin_mcp.operations.progress import SessionBody

WaitFor = Literal["attention", "message"]


@dataclass(frozen=True)
class AnswerTo:
    """Where the caller left off, when all it knows is what it just said: what comes after that is new."""

    message: str
    seen: int | None
    """How often the same words stood in the conversation before; None when it could not be read."""
    before: Mark

    @classmethod
    def after(cls, body: SessionBody | None, message: str) -> AnswerTo:
        """`body` is the session just before the message was sent, if it could be read."""
        if body is None or not body.messages:
            return cls(message, None, NOTHING if body is None else Mark.of(body, 0))
        return cls(message, len(_places(body, message)), Mark.of(body, 0))

    def mark_in(self, body: SessionBody) -> Mark | None:
        """None while the conversation cannot be read, or does not have it yet."""
        places = _places(body, self.message)
        if len(places) <= (self.seen or 0):
            return None
        return replace(self.before, count=places[-1 if self.seen is None else self.seen] + 1, phase="working")


def _places(body: SessionBody, message: str) -> list[int]:
    own = message.split()
    return [place for place, one in enumerate(body.messages) if not one.is_devins and one.message.split() == own]


@dataclass
class Subject:
    """A session that is waited for: where the caller left off, and how it is now."""

    session_id: str
    since: Mark | AnswerTo | None
    followed: Followed
    begun: float

    @property
    def mark(self) -> Mark | None:
        if isinstance(self.since, AnswerTo):
            return self.since.mark_in(self.body) if self.body is not None else None
        return self.since

    @property
    def body(self) -> SessionBody | None:
        """As seen a moment ago; None while it still has to be looked at."""
        return self.followed.body if self.followed.seen_at >= self.begun - QUICK else None

    @property
    def is_known(self) -> bool:
        return self.body is not None or self.followed.refusal is not None

    @property
    def was_tried(self) -> bool:
        return self.is_known or self.followed.failed_at >= self.begun

    @property
    def rests(self) -> bool:
        """Nothing will come of itself: it is not at work, and what it said last can be read."""
        if self.followed.refusal is not None:
            return True
        if self.body is None or self.body.is_at_work or self.followed.expects_words:
            return False
        # It takes Devin a moment to notice what it was just told; until then it rests as it did before.
        return self.body.is_over or self.has_words or not (isinstance(self.since, AnswerTo) or self.followed.was_just_told)

    @property
    def has_words(self) -> bool:
        """Devin said something that was not told yet."""
        if self.body is None or (self.mark is None and isinstance(self.since, AnswerTo)):
            return False
        return any(one.is_devins for one in self.body.messages[self.mark.count if self.mark else 0 :])

    def is_ready(self, wait_for: WaitFor) -> bool:
        if self.body is None:
            return False
        is_news = self.mark is None or self.mark.phase != self.body.phase or self.has_words
        return (self.rests and is_news) or (wait_for == "message" and self.has_words)
