"""How much memory values take, roughly, for caches that are bounded in bytes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

OBJECT_BYTES = 500
"""Of a model or container besides what it holds."""


def size_of(value: Any) -> int:
    """Bytes of a value with all that it holds: models, dataclasses, containers and texts.

    Iterative, because values may be nested deeply.
    """
    size, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str | bytes):
            size += sys.getsizeof(item)
        elif isinstance(item, Mapping):
            size += OBJECT_BYTES
            pending += item.keys()
            pending += item.values()
        elif isinstance(item, list | tuple | set | frozenset):
            size += OBJECT_BYTES
            pending += item
        elif isinstance(item, BaseModel) or hasattr(item, "__dict__"):
            size += OBJECT_BYTES
            pending += vars(item).values()
        else:
            size += 16
    return size
