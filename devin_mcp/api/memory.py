"""The memory that calls hold until they have ended: what was received, decoded and encoded."""

from __future__ import annotations

import math
from contextvars import ContextVar

MIB = 1024 * 1024


class MemoryExceeded(Exception):
    """The calls of the process together would hold more than its budget."""


SMALL_BYTES = 512 * 1024
"""A call that holds no more is small. Large calls leave a part of the budget to small ones."""
LARGE_SHARE = 0.75
"""The part of the budget that large calls may use."""


class MemoryBudget:
    """The bytes that all calls of the process may hold together."""

    def __init__(self, max_bytes: float = math.inf, parent: MemoryBudget | None = None) -> None:
        """`parent` is a budget that this one is a part of, such as that of all keys."""
        self.max_bytes = max_bytes
        self.used = 0
        self._parent = parent

    def hold(self) -> HeldMemory:
        """Memory of one call, nothing at first."""
        return HeldMemory(self)

    def take(self, size: int, share: float) -> None:
        """Raises MemoryExceeded if more than this share of the budget would be used."""
        if self.used + size > self.max_bytes * share:
            raise MemoryExceeded
        if self._parent is not None:
            self._parent.take(size, share)
        self.used += size

    def give_back(self, size: int) -> None:
        if self._parent is not None:
            self._parent.give_back(size)
        self.used -= size


class HeldMemory:
    """The bytes that one call holds. They are free again when its last user has released it."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._bytes = 0
        self._users = 1

    def add(self, size: int) -> None:
        """Hold `size` bytes more. Raises MemoryExceeded if the budget does not allow it."""
        is_small = self._bytes + size <= SMALL_BYTES
        self._budget.take(size, 1.0 if is_small else LARGE_SHARE)
        self._bytes += size

    def retain(self) -> None:
        """Add a user, such as a write that outlives its call."""
        self._users += 1

    def release(self) -> None:
        """Remove a user."""
        self._users -= 1
        if not self._users:
            self._budget.give_back(self._bytes)
            self._bytes = 0


current_memory: ContextVar[HeldMemory | None] = ContextVar("current_memory", default=None)
"""What the call of the current HTTP request holds; None over stdio."""
