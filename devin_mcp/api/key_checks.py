"""The first request of a key that a caller brings goes alone, so that a made-up key costs one
request, however many wait with it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from devin_mcp.errors import BadKey, Refused

MAX_ACCEPTED_KEYS = 10_000
"""Remembered; the least recently used is forgotten first and checked again."""


@dataclass
class _FirstRequest:
    task: asyncio.Task[None] | None
    refusal: asyncio.Future[BadKey | None]
    """None if Devin accepted the key, or did not say."""


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
        first = self._first_requests.get(key_fingerprint)
        if not self._enabled:
            yield
        elif key_fingerprint in self._accepted:
            self._accepted.move_to_end(key_fingerprint)
            yield
        elif first is None:
            async with self._first(key_fingerprint):
                yield
        elif first.task is asyncio.current_task():  # what the first one needs for its own error
            yield
        else:
            refusal = await asyncio.shield(first.refusal)
            if refusal is not None:
                raise BadKey(refusal.message, refusal.advice, status=refusal.status)
            yield

    @asynccontextmanager
    async def _first(self, key_fingerprint: str) -> AsyncIterator[None]:
        refusal: BadKey | None = None
        first = _FirstRequest(asyncio.current_task(), asyncio.Future())
        self._first_requests[key_fingerprint] = first
        try:
            yield
        except BadKey as error:
            refusal = error
            raise
        except Refused:
            self._accept(key_fingerprint)
            raise
        else:
            self._accept(key_fingerprint)
        finally:
            del self._first_requests[key_fingerprint]
            first.refusal.set_result(refusal)

    def _accept(self, key_fingerprint: str) -> None:
        self._accepted[key_fingerprint] = None
        while len(self._accepted) > MAX_ACCEPTED_KEYS:
            self._accepted.popitem(last=False)

    def forget(self, key_fingerprint: str) -> None:
        """Devin has refused the key."""
        self._accepted.pop(key_fingerprint, None)
