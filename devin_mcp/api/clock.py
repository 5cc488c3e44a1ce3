"""Time as something that can be driven: waits and deadlines ask a clock, and tests bring their own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

import anyio

CALL_DEADLINE = 50.0
"""Seconds one call may take, everything included: hosts give up at 60 (design: numbers decided once)."""


class Clock(Protocol):
    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


async def sleep_unless(event: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Sleep, or less where the event happens before; whether it has."""
    sleeping = asyncio.ensure_future(clock.sleep(max(0.0, seconds)))
    happening = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({sleeping, happening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()
        happening.cancel()
    return event.is_set()


@dataclass(frozen=True)
class Deadline:
    """The moment by which a call has answered."""

    clock: Clock
    at: float
    span: float = field(default=CALL_DEADLINE)

    @classmethod
    def after(cls, clock: Clock, seconds: float = CALL_DEADLINE) -> Deadline:
        return cls(clock, clock.now() + seconds, seconds)

    def earlier(self, seconds: float) -> Deadline:
        return Deadline(self.clock, self.at - seconds, self.span - seconds)

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock.now())
