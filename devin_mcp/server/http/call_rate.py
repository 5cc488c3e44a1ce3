"""Calls per caller and minute (--max-calls-per-minute), in this process or in all replicas."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from devin_mcp.api.clock import Clock
from devin_mcp.server.http.rejections import RequestRejected

WINDOW_SECONDS = 60
MAX_CALLERS = 20_000
"""Callers that are counted at once. Anybody can send made-up keys, so the oldest are forgotten."""


@dataclass(frozen=True)
class CallCount:
    """The calls of a caller within a minute that began with the first of them."""

    calls: int
    seconds_left: float


class SharedCallCount(Protocol):
    """The calls that all replicas have counted."""

    async def add(self, caller: str) -> CallCount | None:
        """Count a call. None if the replicas cannot be asked."""
        ...


class CallRate:
    """Refuses a call if its caller has made too many within a minute."""

    def __init__(self, max_calls: int, clock: Clock) -> None:
        """`max_calls` 0 refuses none."""
        self.max_calls = max_calls
        self.shared: SharedCallCount | None = None
        """Counts for all replicas; while it cannot, this process counts alone."""
        self._clock = clock
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Caller -> end of the minute, and calls in it."""

    async def check(self, caller: str) -> None:
        """Count a call. Raises RequestRejected if that is too many."""
        if not self.max_calls:
            return
        own = self._add(caller)
        count = await self.shared.add(caller) if self.shared else None
        count = count or own
        if count.calls > self.max_calls:
            seconds = max(1, math.ceil(count.seconds_left))
            raise RequestRejected(
                429,
                "rate",
                f"You have made {self.max_calls} calls within a minute, the most for one caller "
                f"(--max-calls-per-minute). Nothing was done. Go on in {seconds} seconds.",
                {"retry-after": str(seconds)},
            )

    def _add(self, caller: str) -> CallCount:
        now = self._clock.now()
        ends_at, calls = self._windows.get(caller, (0.0, 0))
        if ends_at <= now:
            ends_at, calls = now + WINDOW_SECONDS, 0
            self._windows.pop(caller, None)
        self._windows[caller] = (ends_at, calls + 1)
        if len(self._windows) > MAX_CALLERS:
            self._windows.popitem(last=False)
        return CallCount(calls + 1, ends_at - now)
