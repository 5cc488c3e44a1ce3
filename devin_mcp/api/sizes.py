"""How much memory values take, roughly, for caches that are bounded in bytes."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

_LISTS = frozenset({list, tuple, set, frozenset, deque})
_NUMBERS = frozenset({bool, int, float})
OBJECT_BYTES = 500
"""Of a model or container besides what it holds."""


def size_of(value: Any) -> int:
    """Bytes of a value with all that it holds: models, dataclasses, containers and texts.

    Iterative, because values may be nested deeply.
    """
    size, pending = 0, [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is str or kind is bytes:
            size += sys.getsizeof(item)
        elif item is None or kind in _NUMBERS:
            size += 16
        elif kind in _LISTS:
            size += OBJECT_BYTES
            pending += item
        elif kind is dict:
            size += OBJECT_BYTES
            pending += item.keys()
            pending += item.values()
        elif (attributes := getattr(item, "__dict__", None)) is not None:
            size += OBJECT_BYTES
            pending += attributes.values()
        elif isinstance(item, Mapping):
            pending.append(dict(item))
        else:
            size += sys.getsizeof(item)
    return size
