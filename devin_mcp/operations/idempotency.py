"""Idempotency keys: what is known of each delegation, and one attempt at a time.

The tag outlives the process: it is stored with the session, where any process with the same Devin
key finds it. Replicas share the rest over Redis (server/shared_starts.py).
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from devin_mcp.api.clock import Clock, Deadline
from devin_mcp.errors import NotSent, ReplyLost, SlowDown
from devin_mcp.operations.parameters import OWN_TAG_PREFIX

LISTING_LAG_SECONDS = 60.0
"""How long Devin's list of sessions may lag behind a start. Devin documents no number; this one is
generous. Until then, a look that finds no session proves nothing."""
MAX_STARTS = 1000
"""Delegations remembered in all; the oldest that are settled are forgotten first."""
MAX_STARTS_PER_TENANT = 100
"""The same per key and organization. Delegations in doubt are never forgotten, so no more than
this many can be in doubt."""


def tag_for(idempotency_key: str | None) -> str:
    """The same tag for the same key; a random one without a key."""
    if idempotency_key is None:
        return OWN_TAG_PREFIX + secrets.token_hex(12)
    return OWN_TAG_PREFIX + sha256(idempotency_key.encode()).hexdigest()[:24]


@dataclass
class IdempotentStart:
    """One delegation: whether its session was started, as far as is known here."""

    clock: Clock
    has_key: bool = False
    """True if the caller gave an idempotency key, so that an earlier call may have started it."""
    session_id: str | None = None
    prompt_digest: bytes = b""
    """SHA-256 of the words of the prompt that the session was started with."""
    marks_title: bool = False
    """True if the tag is at the end of the session's title, because Devin refused it as a tag."""
    in_doubt_until: float = -math.inf
    """Until then a session may exist that is not listed yet."""
    request: asyncio.Task[Any] | None = None
    """The request that starts the session, while it is on the wire; it may outlive its call."""
    announce: Callable[[], Awaitable[None]] | None = None
    """Called before each request: tells other replicas that a session may exist from now on."""
    users: int = 0
    """Calls that work with this object or wait for it."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start_attempt(self, prompt_digest: bytes) -> None:
        self.prompt_digest, self.in_doubt_until = prompt_digest, -math.inf

    def on_sent(self, request: asyncio.Task[Any]) -> None:
        """Follow the request that starts the session; it may outlive the call that sent it."""
        self.request = request
        request.add_done_callback(self._on_done)

    def _on_done(self, request: asyncio.Task[Any]) -> None:
        self.request = None
        error = None if request.cancelled() else request.exception()
        if request.cancelled() or isinstance(error, ReplyLost):
            self.in_doubt_until = self.clock.now() + LISTING_LAG_SECONDS
        elif error is None:
            self.session_id = request.result().session_id

    @property
    def seconds_in_doubt(self) -> float:
        """Seconds until a look that finds no session proves that there is none; 0 if it does."""
        return max(0.0, self.in_doubt_until - self.clock.now())

    @property
    def must_be_kept(self) -> bool:
        """True while an attempt runs or its outcome is in doubt."""
        return self.users > 0 or self.request is not None or self.seconds_in_doubt > 0

    @asynccontextmanager
    async def lock(self, deadline: Deadline) -> AsyncIterator[None]:
        """One attempt at a time, also after one whose caller was cancelled. Raises NotSent."""
        try:
            async with asyncio.timeout(deadline.seconds_left()):
                await self._lock.acquire()
        except TimeoutError:
            raise still_starting() from None
        try:
            if self.request is not None:
                await asyncio.wait({self.request}, timeout=deadline.seconds_left())
            if self.request is not None:
                raise still_starting()
            yield
        finally:
            self._lock.release()


class SharedStarts(Protocol):
    """What replicas share of starts."""

    def lock(
        self, start_id: str, start: IdempotentStart, deadline: Deadline
    ) -> AbstractAsyncContextManager[None]:
        """One attempt at a time in all replicas; `start` knows what they know. Raises NotSent."""
        ...


class IdempotencyRegistry:
    """The delegations of all callers, separated by Devin key and organization."""

    def __init__(self, clock: Clock) -> None:
        self.shared: SharedStarts | None = None
        self._clock = clock
        self._starts: dict[tuple[str, str], IdempotentStart] = {}

    @asynccontextmanager
    async def attempt(
        self, tenant: str, tag: str, deadline: Deadline
    ) -> AsyncIterator[IdempotentStart]:
        """What is known of a delegation; no other attempt runs until the block ends.

        Raises NotSent if another attempt takes too long, SlowDown if too many are in doubt.
        """
        start = self._get(tenant, tag)
        start.users += 1
        try:
            async with start.lock(deadline):
                if self.shared is None:
                    yield start
                else:
                    async with self.shared.lock(f"{tenant} {tag}", start, deadline):
                        yield start
        finally:
            start.users -= 1
            if start.session_id is None and not start.must_be_kept:
                self._starts.pop((tenant, tag), None)

    @property
    def count(self) -> int:
        """Delegations that are remembered."""
        return len(self._starts)

    def _get(self, tenant: str, tag: str) -> IdempotentStart:
        start = self._starts.get((tenant, tag))
        if start is not None:
            return start
        own = [start_id for start_id in self._starts if start_id[0] == tenant]
        if sum(self._starts[start_id].must_be_kept for start_id in own) >= MAX_STARTS_PER_TENANT:
            raise SlowDown(
                f"{MAX_STARTS_PER_TENANT} delegations with this key are starting, or it is not "
                "known whether they have started a session.",
                retry_after=LISTING_LAG_SECONDS,
            )
        self._forget_settled(own, MAX_STARTS_PER_TENANT - 1)
        self._forget_settled(list(self._starts), MAX_STARTS - 1)
        start = self._starts[tenant, tag] = IdempotentStart(self._clock, has_key=True)
        return start

    def _forget_settled(self, start_ids: list[tuple[str, str]], max_count: int) -> None:
        """Forget the oldest of these delegations beyond `max_count`, but none in doubt."""
        settled = [item for item in start_ids if not self._starts[item].must_be_kept]
        for start_id in settled[: max(0, len(start_ids) - max_count)]:
            del self._starts[start_id]


def still_starting() -> NotSent:
    """The error of an attempt that waited in vain for another one."""
    return NotSent("Another call with this idempotency_key is still starting the session.")
