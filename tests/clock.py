"""Clocks that tests drive: sleeps end at once, or when the test advances the time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

HANG_SECONDS = 30.0
"""Real seconds after which a test gives up waiting; not a bound for speed."""
QUIET_SECONDS, QUIET_TIMES, HELD_TIMES = 0.01, 5, 25
"""Nothing moves any more if nothing has moved so many times. What is in flight for so long is held
by the test.
"""


START = 1_000_000.0
"""Of a clock; more than any age that is looked at."""


class ManualClock:
    """A clock that stands still until the test advances it. `waits` has the seconds of its
    sleepers.
    """

    def __init__(self) -> None:
        self.passed = START
        self.waits: list[float] = []
        self.on_skip: list[Callable[[float], None]] = []
        self.requests: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """How many requests Devin has received, and how many of them are in flight."""
        self._sleepers: list[tuple[float, anyio.Event]] = []
        self._moved = anyio.Event()

    def now(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = (self.passed + seconds, anyio.Event())
        self._sleepers.append(sleeper)
        self._moved.set()
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)
            self._moved.set()

    @property
    def sleepers(self) -> int:
        return len(self._sleepers)

    async def advance(self, seconds: float, *, until_asleep: int = 1) -> None:
        """Advance the time in one step, as soon as `until_asleep` sleepers wait for it."""
        await self.wait_for_sleepers(until_asleep)
        self.passed += seconds
        for listener in self.on_skip:
            listener(seconds)
        for due, woken in self._sleepers:
            if due <= self.passed:
                woken.set()
        await anyio.sleep(0.01)

    async def wait_until_quiet(self) -> None:
        """Until no request is in flight that is not held, and no task falls asleep or wakes."""
        before, unchanged = None, 0
        while unchanged < QUIET_TIMES or (unchanged < HELD_TIMES and self.requests()[1]):
            await anyio.sleep(QUIET_SECONDS)
            now = (self.requests(), len(self.waits), len(self._sleepers))
            before, unchanged = now, unchanged + 1 if now == before else 0

    async def wait_for_sleepers(self, count: int) -> None:
        """Wait until at least `count` tasks sleep; for 0, until none does."""
        with anyio.move_on_after(HANG_SECONDS) as scope:
            while len(self._sleepers) < count or (not count and self._sleepers):
                self._moved = anyio.Event()
                await self._moved.wait()
        if scope.cancelled_caught:
            received, in_flight = self.requests()
            raise TimeoutError(
                f"{len(self._sleepers)} tasks sleep where {count} should; of {received} requests "
                f"to Devin, {in_flight} are in flight"
            )


async def advance_during(
    manual_clock: ManualClock, work: Awaitable[T], *steps: float, until_asleep: int = 1
) -> T:
    """The result of `work`, during which the time is advanced in these steps."""
    task = asyncio.ensure_future(work)
    for step in steps:
        await manual_clock.wait_until_quiet()
        sleeping = asyncio.ensure_future(manual_clock.wait_for_sleepers(until_asleep))
        await asyncio.wait({task, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            sleeping.cancel()
            break
        await sleeping
        await manual_clock.advance(step)
    with anyio.fail_after(HANG_SECONDS):
        return await task


class AutoClock:
    """A clock that only sleeps advance, and they end at once. `waits` has their seconds; `then`
    runs after each.
    """

    def __init__(self) -> None:
        self.skipped = START
        self.waits: list[float] = []
        self.on_skip: list[Callable[[float], None]] = []
        self.then: Callable[[], Awaitable[None]] | None = None

    def now(self) -> float:
        return self.skipped

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.skip(seconds)
        await anyio.lowlevel.checkpoint()
        if self.then is not None:
            await self.then()

    def skip(self, seconds: float) -> None:
        self.skipped += seconds
        for listener in self.on_skip:
            listener(seconds)
