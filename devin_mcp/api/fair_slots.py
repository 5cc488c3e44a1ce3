"""Limits requests that are on the wire at once, and shares them fairly between keys."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """Like a semaphore, but keys that wait take turns, and one key gets only a part of it."""

    def __init__(self, count: int, max_per_key: int | None = None) -> None:
        self._free = count
        self._max_per_key = count if max_per_key is None else max_per_key
        self._used: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """Key fingerprint -> its waiting requests. The first key is the next to get a slot."""

    @asynccontextmanager
    async def slot(self, key_fingerprint: str) -> AsyncIterator[None]:
        """Occupies a slot as long as the block lasts."""
        if self._free and self._used[key_fingerprint] < self._max_per_key:
            self._occupy(key_fingerprint)
        else:
            await self._wait(key_fingerprint)
        try:
            yield
        finally:
            self._release(key_fingerprint)

    async def _wait(self, key_fingerprint: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key_fingerprint, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was passed on to this request
                self._release(key_fingerprint)
            raise

    def _occupy(self, key_fingerprint: str) -> None:
        self._free -= 1
        self._used[key_fingerprint] += 1

    def _release(self, key_fingerprint: str) -> None:
        """Give the slot to the oldest request of the next key that may have one more."""
        self._free += 1
        self._used[key_fingerprint] -= 1
        if not self._used[key_fingerprint]:
            del self._used[key_fingerprint]
        for waiting_key in list(self._queues):
            if self._used[waiting_key] < self._max_per_key and self._pass_on_to(waiting_key):
                return

    def _pass_on_to(self, key_fingerprint: str) -> bool:
        """False if none of the key's requests waits any more."""
        queue = self._queues[key_fingerprint]
        while queue:
            turn = queue.popleft()
            if turn.done():  # cancelled
                continue
            if queue:
                self._queues.move_to_end(key_fingerprint)
            else:
                del self._queues[key_fingerprint]
            self._occupy(key_fingerprint)
            turn.set_result(None)
            return True
        del self._queues[key_fingerprint]
        return False
