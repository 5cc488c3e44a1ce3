"""Time that tests can drive: waits and deadlines ask a clock."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

import anyio


class Clock(Protocol):
    """Seconds since an arbitrary moment, and a way to wait."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class RealClock:
    """The machine's monotonic clock."""

    now = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


async def wait_for_event(event: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Wait until the event is set or the time is up. Returns whether the event is set."""
    sleeping = asyncio.ensure_future(clock.sleep(max(0.0, seconds)))
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()
        waiting.cancel()
    return event.is_set()


@dataclass(frozen=True)
class Deadline:
    """The moment by which a call has answered."""

    clock: Clock
    at: float
    span: float
    """Seconds from the begin of the call to `at`."""

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Deadline:
        return cls(clock, clock.now() + seconds, seconds)

    def earlier(self, seconds: float) -> Deadline:
        return Deadline(self.clock, self.at - seconds, self.span - seconds)

    def seconds_left(self) -> float:
        """Never negative."""
        return max(0.0, self.at - self.clock.now())
