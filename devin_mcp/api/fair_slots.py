"""Limits requests that are on the wire at once, and shares them fairly between keys."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """Like a semaphore, but keys that wait take turns, however many requests each has."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """Key fingerprint -> its waiting requests. The first key is the next to get a slot."""

    @asynccontextmanager
    async def slot(self, key_fingerprint: str) -> AsyncIterator[None]:
        """Occupies a slot as long as the block lasts."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(key_fingerprint)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, key_fingerprint: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key_fingerprint, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was passed on to this request
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the slot to the next key's oldest request."""
        while self._queues:
            key_fingerprint, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            if queue:
                self._queues.move_to_end(key_fingerprint)
            else:
                del self._queues[key_fingerprint]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
