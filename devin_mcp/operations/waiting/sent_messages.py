"""The last message to each session, as long as Devin may still show the state from before it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

MESSAGE_VISIBILITY_LAG_SECONDS = 15.0
"""Seconds in which a session may still show its state from before a message was sent to it."""

PollerId = tuple[str, str]
"""Tenant and bare session id."""


@dataclass(frozen=True)
class SentMessage:
    """The last message that was sent to a session through this server."""

    at: float = -math.inf
    """Time of the clock; never by default."""
    messages_before: int | None = None
    """How many messages the session had then; None if not known."""

    def may_be_invisible(self, now: float) -> bool:
        return now < self.at + MESSAGE_VISIBILITY_LAG_SECONDS


class SentMessages:
    """Of all sessions, about in the order of their time."""

    def __init__(self) -> None:
        self._last: dict[PollerId, SentMessage] = {}

    def last(self, poller_id: PollerId) -> SentMessage:
        return self._last.get(poller_id, SentMessage())

    def add(self, poller_id: PollerId, now: float, messages_before: int | None) -> None:
        self._forget_old(now)
        self._last.pop(poller_id, None)  # it goes to the end
        self._last[poller_id] = SentMessage(now, messages_before)

    def assume(self, poller_id: PollerId, now: float, seconds_ago: float) -> None:
        """A message was sent so long ago, by another process perhaps."""
        self._forget_old(now)
        message = SentMessage(now - max(0.0, seconds_ago))
        if message.may_be_invisible(now):
            self._last.setdefault(poller_id, message)

    def set_messages_before(self, poller_id: PollerId, count: int) -> None:
        """The session had so many messages when the last one was sent."""
        if poller_id in self._last:
            self._last[poller_id] = replace(self._last[poller_id], messages_before=count)

    def _forget_old(self, now: float) -> None:
        while self._last:
            oldest = next(iter(self._last))
            if self._last[oldest].may_be_invisible(now):
                return
            del self._last[oldest]
