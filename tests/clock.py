"""Time that tests drive: a wait is over at once, and everything that watches the clock sees it pass."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio.lowlevel


class DrivenClock:
    """A clock whose sleeps take no time. `waits` remembers them; `then` runs after each (to heal an upstream, say)."""

    def __init__(self) -> None:
        self.skipped = 0.0
        self.waits: list[float] = []
        self.on_skip: list[Callable[[float], None]] = []
        self.then: Callable[[], Awaitable[None]] | None = None

    def now(self) -> float:
        return time.monotonic() + self.skipped

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.skip(seconds)
        await anyio.lowlevel.checkpoint()
        if self.then is not None:
            await self.then()

    def skip(self, seconds: float) -> None:
        self.skipped += seconds
        for told in self.on_skip:
            told(seconds)
