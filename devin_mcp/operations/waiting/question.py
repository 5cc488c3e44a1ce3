"""A question of Devin's that a person could answer: the last message of a session that waits."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.waiting.target import WaitTarget

MAX_QUESTION_CHARS = 1_500
MAX_TITLE_CHARS = 60
MAX_SETTLED = 10_000
_ENDS_WITH_QUESTION = re.compile(r"[?\u061f\uff1f]\W{0,20}$")


@dataclass(frozen=True)
class Question:
    """What a person is asked."""

    key: str
    """Of this message in this session, so it is never used for another."""
    session_id: str
    text: str
    """One line. Devin's words are quoted, cut and redacted."""


def question_of(targets: Sequence[WaitTarget]) -> Question | None:
    """None if there is no question, or several sessions that might ask."""
    if len(targets) != 1 or targets[0].poller.recently_messaged:
        return None
    session = targets[0].session
    if session is None or session.phase != "waiting" or not session.accepts_messages:
        return None
    last = session.messages[-1] if session.messages else None
    if last is None or not last.is_from_devin or not _ENDS_WITH_QUESTION.search(last.message):
        return None
    key = sha256(f"{session.session_id} {last.event_id}".encode()).hexdigest()[:16]
    title = quote_line(session.title or session.session_id, MAX_TITLE_CHARS)
    words = quote_line(last.message, MAX_QUESTION_CHARS)
    return Question(key, session.session_id, f"Devin asks in {title}: {words}")


class SettledQuestions:
    """Questions that a person has answered or declined: none is asked or answered again. One per
    process: after a restart, or at another replica, a person may be asked again.
    """

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._sending: set[asyncio.Task[None]] = set()

    def has(self, tenant: str, question: Question) -> bool:
        return (tenant, question.key) in self._keys

    def settle(self, tenant: str, question: Question) -> bool:
        """False if it was settled before: two answers at once must not be sent twice."""
        if self.has(tenant, question):
            return False
        self._keys[tenant, question.key] = None
        if len(self._keys) > MAX_SETTLED:
            self._keys.popitem(last=False)
        return True

    async def finish(self, sending: Coroutine[Any, Any, None]) -> None:
        """Await what sends an answer. It goes on if its caller is cancelled."""
        task = asyncio.ensure_future(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(task)

    def reopen(self, tenant: str, question: Question) -> None:
        """The answer was not sent."""
        self._keys.pop((tenant, question.key), None)
