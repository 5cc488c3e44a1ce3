"""What may be kept for a moment, for each key apart: v1 answers every look at the notes with all their bodies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from devin_mcp.api.clock import Clock
from devin_mcp.errors import DevinError

T = TypeVar("T")

TROUBLE = 5.0
"""Seconds a failure is remembered, so that somebody who goes on typing does not send a request per keystroke."""
MOST = 600
"""Things kept at once; the oldest goes first."""
MOST_EACH = 12
"""Of one key, so that nobody crowds others out."""

Place = tuple[str, str]
"""Whose (the key's fingerprint) and what (the toolset it comes from, or a part of it: `sessions/devin-1`)."""


@dataclass(frozen=True)
class _Kept:
    outcome: asyncio.Future[Any]
    until: float


class Cache:
    """One per server. A load that several wait for is sent once; what was read before a write is never kept after it."""

    def __init__(self, ttl: float, clock: Clock) -> None:
        """`ttl` in seconds; 0 keeps nothing and shares nothing."""
        self.ttl = ttl
        self._clock = clock
        self._kept: dict[Place, _Kept] = {}
        self._flights: dict[Place, asyncio.Task[Any]] = {}
        self._loading: Counter[asyncio.Task[Any]] = Counter()
        """How many wait for each of them, also for those whose place was taken or dropped meanwhile."""

    async def get(
        self, owner: str, what: str, load: Callable[[], Awaitable[T]], *, fresh: bool = False
    ) -> T:
        """What is kept, or what `load` answers; `fresh` loads in any case. Raises what `load` raises.

        The load outlives a caller who goes away, since others may wait for it; so it must have a deadline of its own.
        """
        if not self.ttl:
            return await load()
        place = (owner, what)
        if not fresh:
            self._forget_old()
            if (kept := self._kept.get(place)) is not None:
                known: T = kept.outcome.result()
                return known
        flight = self._flights.get(place)
        if flight is None or fresh:
            flight = self._flights[place] = asyncio.ensure_future(load())
            flight.add_done_callback(lambda done: self._landed(place, done))
        self._loading[flight] += 1
        try:
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            if (
                fresh and self._loading[flight] == 1
            ):  # asked for by one who is gone, and nobody else waits for it
                flight.cancel()
                if self._flights.get(place) is flight:  # nobody may join it any more
                    del self._flights[place]
            raise
        finally:
            self._loading[flight] -= 1
            self._loading = +self._loading

    def drop(self, owner: str, what: str) -> None:
        """Forget it and its parts (`what/...`), also those just being loaded: they may have been read before the write."""
        for known in (self._kept, self._flights):
            for place in [
                place for place in known if place[0] == owner and place[1].split("/")[0] == what
            ]:
                del known[place]

    def drop_all(self) -> None:
        self._kept.clear()
        self._flights.clear()

    def close(self) -> None:
        for flight in list(self._loading):
            flight.cancel()
        self._kept.clear()

    def _landed(self, place: Place, flight: asyncio.Task[Any]) -> None:
        problem = None if flight.cancelled() else flight.exception()
        if self._flights.get(place) is not flight:
            return
        del self._flights[place]
        if flight.cancelled() or (problem is not None and not isinstance(problem, DevinError)):
            return
        self._forget_old()
        if problem is not None and place in self._kept:
            return  # what is known is better than that nothing can be known just now
        lasts = self.ttl if problem is None else min(self.ttl, TROUBLE)
        self._kept.pop(place, None)
        self._kept[place] = _Kept(flight, self._clock.now() + lasts)
        mine = [one for one in self._kept if one[0] == place[0]]
        if len(mine) > MOST_EACH:  # parts go first: they are cheap to read again
            del self._kept[next((one for one in mine if "/" in one[1]), mine[0])]
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def _forget_old(self) -> None:
        now = self._clock.now()
        for place in [place for place, kept in self._kept.items() if kept.until <= now]:
            del self._kept[place]
