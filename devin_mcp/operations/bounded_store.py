"""Values that are kept within a number of bytes, for each tenant and in all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

ENTRY_BYTES = 1000
"""Counted for each entry besides its value."""


@dataclass(frozen=True)
class _Entry(Generic[T]):
    value: T
    size: int


class BoundedStore(Generic[T]):
    """The least recently used values of a tenant are removed first, then those of all tenants."""

    def __init__(self, max_bytes: int, max_bytes_per_tenant: int) -> None:
        self._max_bytes = max_bytes
        self._max_bytes_per_tenant = max_bytes_per_tenant
        self._tenants: OrderedDict[str, OrderedDict[str, _Entry[T]]] = OrderedDict()
        """The least recently used first, on both levels."""
        self._bytes: dict[str, int] = {}
        self.total_bytes = 0

    def get(self, tenant: str, name: str) -> T | None:
        entries = self._tenants.get(tenant)
        if entries is None or name not in entries:
            return None
        self._tenants.move_to_end(tenant)
        entries.move_to_end(name)
        return entries[name].value

    def put(self, tenant: str, name: str, value: T, size: int) -> None:
        """Replace the value. One that is larger than a tenant may have is not kept."""
        self.remove(tenant, name)
        size += ENTRY_BYTES
        if size > self._max_bytes_per_tenant:
            return
        self._tenants.setdefault(tenant, OrderedDict())[name] = _Entry(value, size)
        self._tenants.move_to_end(tenant)
        self._count(tenant, size)
        while self._bytes[tenant] > self._max_bytes_per_tenant:
            self.remove(tenant, next(iter(self._tenants[tenant])))
        while self.total_bytes > self._max_bytes:
            oldest = next(iter(self._tenants))
            self.remove(oldest, next(iter(self._tenants[oldest])))

    def remove(self, tenant: str, name: str) -> None:
        entries = self._tenants.get(tenant)
        if entries is None or name not in entries:
            return
        self._count(tenant, -entries.pop(name).size)
        if not entries:
            del self._tenants[tenant], self._bytes[tenant]

    def names(self, tenant: str) -> Iterable[str]:
        """A copy: values may be removed while it is read."""
        return list(self._tenants.get(tenant, ()))

    def clear(self) -> None:
        self._tenants.clear()
        self._bytes.clear()
        self.total_bytes = 0

    def _count(self, tenant: str, size: int) -> None:
        self._bytes[tenant] = self._bytes.get(tenant, 0) + size
        self.total_bytes += size
