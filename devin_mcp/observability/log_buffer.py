"""Work that waits for a moment and is then done together.

Writing a log line for each event by itself costs several times what it costs in a row: nothing of it is in the
processor's caches, and each write hands the interpreter to the threads that read and write the protocol.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

MOMENT = 0.02
"""Seconds that something waits; what ends the process in an orderly way does the rest."""

T = TypeVar("T")


class LineBuffer(Generic[T]):
    """Where an event loop runs, what is added waits for a moment; elsewhere it is done at once."""

    def __init__(self, do: Callable[[list[T]], None]) -> None:
        self._do = do
        self._added: list[T] = []
        self._is_due = False
        self._doing = threading.RLock()
        atexit.register(self.flush)

    def add(self, item: T) -> None:
        self._added.append(item)
        if self._is_due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # none runs in this thread
            self.flush()
        else:
            self._is_due = True
            loop.call_later(MOMENT, self.flush)

    def flush(self) -> None:
        with self._doing:
            self._is_due = False
            added, self._added = self._added, []
            if added:
                self._do(added)

    def close(self) -> None:
        self.flush()
        atexit.unregister(self.flush)
