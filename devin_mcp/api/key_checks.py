"""The first request of a key that a caller brings goes alone, so that a made-up key costs one
request, however many wait with it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from typing import Literal

from devin_mcp.errors import BadKey, Refused

MAX_ACCEPTED_KEYS = 10_000
"""Remembered; the least recently used is forgotten first and checked again."""


@dataclass
class _FirstRequest:
    task: asyncio.Task[None] | None
    outcome: asyncio.Future[BadKey | Literal["answered"] | None]
    """BadKey if Devin refused the key, None if the request was cancelled."""


class KeyChecks:
    """Which keys Devin has accepted."""

    def __init__(self, *, enabled: bool) -> None:
        """Not `enabled`, all requests go at once: the server's own key is checked by its owner."""
        self._enabled = enabled
        self._accepted: OrderedDict[str, None] = OrderedDict()
        self._first_requests: dict[str, _FirstRequest] = {}

    @asynccontextmanager
    async def request(self, key_fingerprint: str) -> AsyncIterator[None]:
        """Around each request and its errors. Raises BadKey if the request waited for the first one
        of its key, and Devin refused that.
        """
        if self._enabled and await self._is_first(key_fingerprint):
            async with self._first(key_fingerprint):
                yield
        else:
            yield

    async def _is_first(self, key_fingerprint: str) -> bool:
        """Wait for the first request of the key, if there is one. Raises BadKey if it was refused.

        If it was cancelled, one of those that waited is the next first one.
        """
        while key_fingerprint not in self._accepted:
            first = self._first_requests.get(key_fingerprint)
            if first is None:
                return True
            if first.task is asyncio.current_task():  # what it needs for its own error
                return False
            outcome = await asyncio.shield(first.outcome)
            if isinstance(outcome, BadKey):
                raise BadKey(outcome.message, outcome.advice, status=outcome.status)
            if outcome is not None:
                return False
        self._accepted.move_to_end(key_fingerprint)
        return False

    @asynccontextmanager
    async def _first(self, key_fingerprint: str) -> AsyncIterator[None]:
        outcome: BadKey | Literal["answered"] | None = "answered"
        first = _FirstRequest(asyncio.current_task(), asyncio.Future())
        self._first_requests[key_fingerprint] = first
        try:
            yield
        except BadKey as error:
            outcome = copy(error)  # without its traceback
            raise
        except asyncio.CancelledError:
            outcome = None
            raise
        except Refused:
            self._accept(key_fingerprint)
            raise
        else:
            self._accept(key_fingerprint)
        finally:
            del self._first_requests[key_fingerprint]
            first.outcome.set_result(outcome)

    def _accept(self, key_fingerprint: str) -> None:
        self._accepted[key_fingerprint] = None
        while len(self._accepted) > MAX_ACCEPTED_KEYS:
            self._accepted.popitem(last=False)

    def forget(self, key_fingerprint: str) -> None:
        """Devin has refused the key."""
        self._accepted.pop(key_fingerprint, None)
