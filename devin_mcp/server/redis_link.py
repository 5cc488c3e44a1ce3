"""A connection to Redis that may be away: then commands give AWAY, and nothing waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from devin_mcp.api.clock import Clock

PREFIX = "devin-mcp:"
TIMEOUT = 2.0
"""Seconds for one command."""
RECONNECT_SECONDS = 5.0
"""After a failure, Redis is left alone for so long: a call has 50 seconds in all."""

AWAY: Final = object()
"""In place of a result: Redis cannot be reached."""


class RedisLink:
    """Commands for one purpose."""

    def __init__(self, url: str, clock: Clock, report: Callable[[str | None], None]) -> None:
        """`report` logs the name of an error that makes Redis count as away, and None when it is
        back.
        """
        from redis.asyncio import Redis

        self.redis: Any = Redis.from_url(
            url, socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT
        )
        self._clock = clock
        self._report = report
        self._away_until = clock.now()
        self._is_away = False

    async def aclose(self) -> None:
        with suppress(OSError, RuntimeError):
            await self.redis.aclose()

    async def run(self, command: Awaitable[Any]) -> Any:
        """The result, or AWAY while Redis cannot be reached. Raises LockError of its locks."""
        from redis.exceptions import LockError, RedisError

        task = asyncio.ensure_future(command)
        if self._clock.now() < self._away_until:
            task.cancel()
            return AWAY
        try:
            result = await task
        except LockError:
            raise
        except (RedisError, OSError) as error:
            self._is_away, self._away_until = True, self._clock.now() + RECONNECT_SECONDS
            self._report(type(error).__name__)
            return AWAY
        if self._is_away:
            self._is_away = False
            self._report(None)
        return result
