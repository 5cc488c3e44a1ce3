"""Cache of lists that were read a moment ago, separated by key: v1 returns all notes with all their
bodies each time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio.to_thread

from devin_mcp.api.clock import Clock
from devin_mcp.api.memory import MIB
from devin_mcp.api.sizes import size_of
from devin_mcp.errors import DevinError
from devin_mcp.operations.bounded_store import BoundedStore

T = TypeVar("T")

ERROR_TTL = 5.0
"""Seconds an error is cached, so that completion does not send a request per keystroke."""
MAX_BYTES = 64 * MIB
"""What is cached in all."""
MAX_BYTES_PER_CALLERS_KEY = 16 * MIB
"""What is cached for one of many keys, so that no caller evicts what others have."""

EntryId = tuple[str, str]
"""Tenant and name: the toolset the data comes from, or a part of it (`sessions/ID`)."""


@dataclass(frozen=True)
class _Entry:
    value: Any
    error: DevinError | None
    expires_at: float


class Cache:
    """Concurrent loads of one entry share one request. What was read before a write is dropped."""

    def __init__(self, ttl: float, clock: Clock, max_bytes_per_tenant: int = MAX_BYTES) -> None:
        """`ttl` in seconds; 0 caches nothing and shares nothing."""
        self.ttl = ttl
        self._clock = clock
        self._entries = BoundedStore[_Entry](MAX_BYTES, max_bytes_per_tenant)
        self._loads: dict[EntryId, asyncio.Task[Any]] = {}
        self._waiting: Counter[asyncio.Task[Any]] = Counter()
        """Callers that wait for each load, dropped ones included."""

    async def get(
        self,
        tenant: str,
        name: str,
        load: Callable[[], Awaitable[T]],
        *,
        fresh: bool = False,
    ) -> T:
        """The cached value, or what `load` returns; `fresh` loads in any case.

        A load outlives a cancelled caller, because others may wait for it, so it needs a deadline
        of its own. Raises what `load` raises.
        """
        if not self.ttl:
            return await load()
        entry_id = (tenant, name)
        if not fresh:
            entry = self._valid_entry(entry_id)
            if entry is not None:
                if entry.error is not None:
                    raise copy(entry.error)  # a new one has no traceback yet
                value: T = entry.value
                return value
        task = self._loads.get(entry_id)
        if task is None or fresh:
            task = self._loads[entry_id] = asyncio.ensure_future(_load_and_measure(load))
            task.add_done_callback(lambda done: self._store(entry_id, done))
        self._waiting[task] += 1
        try:
            loaded: tuple[T, int] = await asyncio.shield(task)
            return loaded[0]
        except asyncio.CancelledError:
            if fresh and self._waiting[task] == 1:  # nobody else waits for it
                task.cancel()
                if self._loads.get(entry_id) is task:  # nobody may join it any more
                    del self._loads[entry_id]
            raise
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]

    @property
    def total_bytes(self) -> int:
        """What is cached now."""
        return self._entries.total_bytes

    def drop(self, tenant: str, name: str) -> None:
        """Forget an entry and its parts (`name/...`) after a write.

        A load in progress is not stored either: it may have been read before the write.
        """
        for entry_name in self._entries.names(tenant):
            if entry_name.split("/")[0] == name:
                self._entries.remove(tenant, entry_name)
        for entry_id in list(self._loads):
            if entry_id[0] == tenant and entry_id[1].split("/")[0] == name:
                del self._loads[entry_id]

    def drop_all(self) -> None:
        self._entries.clear()
        self._loads.clear()

    def close(self) -> None:
        for task in list(self._waiting):
            task.cancel()
        self._entries.clear()

    def _store(self, entry_id: EntryId, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._loads.get(entry_id) is not task:
            return
        del self._loads[entry_id]
        if task.cancelled() or (error is not None and not isinstance(error, DevinError)):
            return
        if error is not None and self._valid_entry(entry_id) is not None:
            return  # an older value is better than an error
        ttl = self.ttl if error is None else min(self.ttl, ERROR_TTL)
        expires_at = self._clock.now() + ttl
        if error is not None:  # without its traceback, which refers to what was read
            self._entries.put(*entry_id, _Entry(None, copy(error), expires_at), 0)
            return
        value, size = task.result()
        self._entries.put(*entry_id, _Entry(value, None, expires_at), size)

    def _valid_entry(self, entry_id: EntryId) -> _Entry | None:
        entry = self._entries.get(*entry_id)
        if entry is not None and entry.expires_at <= self._clock.now():
            self._entries.remove(*entry_id)
            return None
        return entry


async def _load_and_measure(load: Callable[[], Awaitable[T]]) -> tuple[T, int]:
    """The value and its bytes, counted in a thread: a long list takes a while."""
    value = await load()
    return value, await anyio.to_thread.run_sync(size_of, value)
