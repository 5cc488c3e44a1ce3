"""What replicas share about starts over Redis: one attempt at a time per idempotency key, starts in
doubt, and the sessions per hour (--max-sessions).

Redis holds hashes, session ids and times: no key and nothing of what was asked for. While it cannot
be reached, each replica works as without it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from secrets import token_hex
from typing import Any

from devin_mcp.api.clock import Clock, Deadline
from devin_mcp.api.pending_writes import DETACHED_WRITE_TIMEOUT
from devin_mcp.errors import NotSent
from devin_mcp.observability.log import event
from devin_mcp.operations.idempotency import (
    LISTING_LAG_SECONDS,
    IdempotentStart,
    still_starting,
)
from devin_mcp.operations.parameters import is_id
from devin_mcp.operations.policy import HOUR_SECONDS
from devin_mcp.operations.services import Services
from devin_mcp.server.redis_link import AWAY, PREFIX, RECONNECT_SECONDS, TIMEOUT, RedisLink
from devin_mcp.settings import CALL_DEADLINE_SECONDS

REQUEST_SECONDS = CALL_DEADLINE_SECONDS + DETACHED_WRITE_TIMEOUT
"""The longest time from the begin of a call to the end of its request."""
LOCK_SECONDS = REQUEST_SECONDS + 10
"""After this time, the lock of a replica that was killed is free."""
KNOWN_SECONDS = 3600
"""A started session is remembered for so long; later its tag is listed for certain."""

_ADD_UNLESS_FULL = """
local now = redis.call('TIME')[1]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[1], now, ARGV[3])
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return 1
"""
"""Sorted set, maximum, seconds, member -> 1 if there was room. An empty member only asks."""


@asynccontextmanager
async def share_starts(url: str, services: Services) -> AsyncIterator[None]:
    """Share this process's starts with the other replicas."""
    shared = RedisStarts(url, services.client.clock)
    services.idempotency.shared = services.session_limit.shared = shared
    try:
        yield
    finally:
        services.idempotency.shared = services.session_limit.shared = None
        await shared.aclose()


class RedisStarts:
    """The starts of all replicas."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._link = RedisLink(url, clock, _report)
        self._redis = self._link.redis
        self._add_unless_full = self._redis.register_script(_ADD_UNLESS_FULL)
        self._clock = clock
        self._settling: set[asyncio.Task[None]] = set()
        """Starts whose call has ended before their request."""

    async def aclose(self) -> None:
        if self._settling:
            _, unsettled = await asyncio.wait(self._settling, timeout=TIMEOUT)
            for task in unsettled:
                task.cancel()
            await asyncio.gather(*unsettled, return_exceptions=True)
        await self._link.aclose()

    @asynccontextmanager
    async def lock(
        self, start_id: str, start: IdempotentStart, deadline: Deadline
    ) -> AsyncIterator[None]:
        """One attempt at a time in all replicas. The lock is held until the request has ended."""
        name = f"{PREFIX}start:{sha256(start_id.encode()).hexdigest()}"
        lock, token = self._redis.lock(f"{name}:lock", timeout=LOCK_SECONDS), token_hex(16)
        may_be_locked, is_announced = True, False

        async def announce() -> None:
            nonlocal is_announced
            is_announced = True
            seconds = REQUEST_SECONDS + LISTING_LAG_SECONDS
            await self._save(name, start, in_doubt=True, seconds=seconds)

        async def settle() -> bool:
            """Save the outcome and release the lock. False if Redis could not be reached."""
            is_saved = not is_announced or await self._save_outcome(name, start)
            return is_saved and (not may_be_locked or await self._release(lock, token))

        try:
            waiting = lock.acquire(blocking_timeout=deadline.seconds_left(), token=token)
            is_locked = await self._link.run(waiting)
            if is_locked is False:
                may_be_locked = False
                raise still_starting()
            if is_locked is not AWAY and not await self._load(name, start):
                raise NotSent(
                    "What the other replicas know of this idempotency_key could not be read."
                )
            start.announce = announce
            yield
        finally:
            start.announce = None
            first_try = asyncio.Event()
            settling = asyncio.ensure_future(self._settle(start.request, settle, first_try))
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)
            if start.request is None:
                await first_try.wait()

    async def has_room(self, key_fingerprint: str, max_sessions: int) -> bool:
        """False if the replicas together have started as many sessions as the key may."""
        return await self.add(key_fingerprint, max_sessions, "")

    async def add(self, key_fingerprint: str, max_sessions: int, member: str) -> bool:
        """Count a start unless that is too many. Returns whether it may go on."""
        arguments: list[str | int] = [max_sessions, int(HOUR_SECONDS), member]
        added = await self._link.run(self._add_unless_full([_counter(key_fingerprint)], arguments))
        return bool(added != 0)

    async def remove(self, key_fingerprint: str, member: str) -> None:
        """Undo `add`."""
        await self._link.run(self._redis.zrem(_counter(key_fingerprint), member))

    async def _settle(
        self,
        request: asyncio.Task[Any] | None,
        settle: Callable[[], Awaitable[bool]],
        first_try: asyncio.Event,
    ) -> None:
        """Settle when the request has ended. Tries again until the lock expires; sets `first_try`
        after the first time.
        """
        if request is not None:
            await asyncio.wait({request})
        give_up_at = self._clock.now() + LOCK_SECONDS
        while self._clock.now() < give_up_at:
            try:
                if await settle():
                    return
            finally:
                first_try.set()
            await self._clock.sleep(RECONNECT_SECONDS)

    async def _release(self, lock: Any, token: str) -> bool:
        from redis.exceptions import LockNotOwnedError

        try:
            # With our own token: the library knows it only once it has seen the reply.
            return await self._link.run(lock.do_release(token)) is not AWAY
        except LockNotOwnedError:  # it was never had, or has expired
            return True

    async def _save_outcome(self, name: str, start: IdempotentStart) -> bool:
        if start.session_id is not None:
            return await self._save(name, start, in_doubt=False, seconds=KNOWN_SECONDS)
        if start.seconds_in_doubt:
            return await self._save(name, start, in_doubt=True, seconds=start.seconds_in_doubt)
        return await self._link.run(self._redis.delete(name)) is not AWAY

    async def _load(self, name: str, start: IdempotentStart) -> bool:
        """Complete what is known here by what the replicas know. False if that cannot be read."""
        reading = self._redis.pipeline().get(name).pttl(name)
        found = await self._link.run(reading.execute())
        if found is AWAY:
            return False
        text, milliseconds_left = found
        if text is None:
            return True
        try:
            record = json.loads(text)
            session_id, digest = record["session_id"], bytes.fromhex(record["prompt_digest"])
            in_doubt, marks_title = bool(record["in_doubt"]), bool(record["marks_title"])
        except (ValueError, KeyError, TypeError, RecursionError):  # of another version, or forged
            event("shared_starts", level="warning", outcome="unreadable")
            return True
        start.prompt_digest, start.marks_title = digest, marks_title
        if in_doubt:
            in_doubt_until = start.clock.now() + max(0, milliseconds_left) / 1000
            start.in_doubt_until = max(start.in_doubt_until, in_doubt_until)
        elif isinstance(session_id, str) and is_id(session_id):
            start.session_id = session_id
        return True

    async def _save(
        self, name: str, start: IdempotentStart, *, in_doubt: bool, seconds: float
    ) -> bool:
        record = {
            "session_id": start.session_id,
            "prompt_digest": start.prompt_digest.hex(),
            "marks_title": start.marks_title,
            "in_doubt": in_doubt,
        }
        saving = self._redis.set(name, json.dumps(record), px=int(seconds * 1000) + 1)
        return await self._link.run(saving) is not AWAY


def _report(error: str | None) -> None:
    if error is None:
        event("shared_starts", outcome="shared")
        return
    retry = {"error": error, "retry_in_s": RECONNECT_SECONDS}
    event("shared_starts", level="warning", outcome="not_shared", **retry)


def _counter(key_fingerprint: str) -> str:
    return f"{PREFIX}sessions:{key_fingerprint}"
