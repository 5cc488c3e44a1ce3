"""Idempotency keys: what this process knows of each delegation, and one attempt at a time.

The tag outlives the process: it is stored with the session, where any process with the same Devin
key finds it.
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

TAG_PREFIX = "devin-mcp-"
"""Prefix of the tags that identify delegations; callers cannot change them."""
MAX_STARTS = 1000
"""Delegations remembered; the oldest is forgotten first."""


def tag_for(idempotency_key: str | None) -> str:
    """The same tag for the same key; a random one without a key."""
    if idempotency_key is None:
        return TAG_PREFIX + secrets.token_hex(12)
    return TAG_PREFIX + sha256(idempotency_key.encode()).hexdigest()[:24]


@dataclass
class IdempotentStart:
    """One delegation: whether its session was started, as far as this process knows."""

    has_key: bool = False
    """True if the caller gave an idempotency key, so that an earlier call may have started it."""
    session_id: str | None = None
    prompt_digest: bytes = b""
    """SHA-256 of the words of the prompt that the session was started with."""
    marks_title: bool = False
    """True if the tag is at the end of the session's title, because Devin refused it as a tag."""
    in_doubt: bool = False
    """True if a session may exist that was not found yet."""
    _request: asyncio.Task[Any] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start_attempt(self, prompt_digest: bytes) -> None:
        self.prompt_digest, self.in_doubt = prompt_digest, False

    def on_sent(self, request: asyncio.Task[Any]) -> None:
        """Follow the request that starts the session; it may outlive the call that sent it."""
        self._request = request
        request.add_done_callback(self._on_done)

    def _on_done(self, request: asyncio.Task[Any]) -> None:
        self._request = None
        error = None if request.cancelled() else request.exception()
        if request.cancelled() or isinstance(error, ReplyLost):
            self.in_doubt = True
        elif error is None:
            self.session_id = request.result().session_id

    @property
    def is_busy(self) -> bool:
        return self._lock.locked() or self._request is not None

    @asynccontextmanager
    async def lock(self, deadline: Deadline) -> AsyncIterator[None]:
        """One attempt at a time, also after one whose caller was cancelled. Raises NotSent."""
        try:
            async with asyncio.timeout(deadline.seconds_left()):
                await self._lock.acquire()
        except TimeoutError:
            raise NotSent(
                "Another call with this idempotency_key has been starting the session all that "
                "time."
            ) from None
        try:
            if self._request is not None:
                await asyncio.wait({self._request}, timeout=deadline.seconds_left())
            if self._request is not None:
                raise NotSent(
                    "Another call with this idempotency_key is still starting the session."
                )
            yield
        finally:
            self._lock.release()


class IdempotencyRegistry:
    """The delegations of all callers, separated by Devin key and organization."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, str], IdempotentStart] = {}

    def get(self, organization: str, tag: str) -> IdempotentStart:
        start = self._starts.setdefault((organization, tag), IdempotentStart(has_key=True))
        excess = max(0, len(self._starts) - MAX_STARTS)
        for start_id in list(self._starts)[:excess]:
            oldest = self._starts[start_id]
            if not oldest.is_busy and not oldest.in_doubt:
                del self._starts[start_id]
        return start
