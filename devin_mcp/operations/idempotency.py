"""Handovers of tasks, each known by a tag: what this process knows of them, and one at a time.

The tag is what outlives the process: it stands at the session, where any process with the same key finds it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from devin_mcp.api.clock import Deadline
from devin_mcp.errors import NotSent, ReplyLost

PREFIX = "devin-mcp-"
"""Begins the tags that say which request a session was started for; they are not for callers to change."""
MOST = 1000
"""Handovers remembered; the oldest goes first."""


def tag_for(idempotency_key: str | None) -> str:
    """The same for the same key; without one, never the same."""
    return PREFIX + (
        secrets.token_hex(12)
        if idempotency_key is None
        else sha256(idempotency_key.encode()).hexdigest()[:24]
    )


@dataclass
class IdempotentStart:
    """One task, and what became of it as far as this process knows."""

    session_id: str | None = None
    prompt: bytes = b""
    """Fingerprint of what the session was started with."""
    in_doubt: bool = False
    """A session may exist that nobody has seen yet."""
    _writing: asyncio.Task[Any] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begins(self, prompt: bytes) -> None:
        """What follows is about a start with this."""
        self.prompt, self.in_doubt = prompt, False

    def began(self, task: asyncio.Task[Any]) -> None:
        """Starting the session is on its way; that may outlive the call that asked for it."""
        self._writing = task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._writing = None
        problem = None if task.cancelled() else task.exception()
        if task.cancelled() or isinstance(problem, ReplyLost):
            self.in_doubt = True
        elif problem is None:
            self.session_id = task.result().session_id

    @property
    def is_busy(self) -> bool:
        return self._turn.locked() or self._writing is not None

    @asynccontextmanager
    async def turn(self, deadline: Deadline) -> AsyncIterator[None]:
        """After those who asked for the same before, also those who went away while it was on its way."""
        try:
            async with asyncio.timeout(deadline.left()):
                await self._turn.acquire()
        except TimeoutError:
            raise NotSent(
                "Another call with this idempotency_key has been starting the session all that time."
            ) from None
        try:
            if self._writing is not None:
                await asyncio.wait({self._writing}, timeout=deadline.left())
            if self._writing is not None:
                raise NotSent(
                    "Another call with this idempotency_key is still starting the session."
                )
            yield
        finally:
            self._turn.release()


class IdempotencyRegistry:
    """Those of all callers, each key's own apart."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], IdempotentStart] = {}

    def get(self, owner: str, tag: str) -> IdempotentStart:
        handover = self._known.setdefault((owner, tag), IdempotentStart())
        for place in list(self._known)[: max(0, len(self._known) - MOST)]:
            if not self._known[place].is_busy:
                del self._known[place]
        return handover
