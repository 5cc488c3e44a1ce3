"""Writes the log in a thread, so that a pipe that nobody reads blocks nothing else."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TextIO

MAX_PENDING_CHARS = 1_000_000
"""Text that waits for a slow reader; what comes beyond it is dropped."""
WAIT_SECONDS = 1.0
"""How long the end of the process waits for a reader."""
RETRY_SECONDS = 0.01
"""Pause before the next write to a full pipe that does not block."""


class StreamWriter:
    """Writes to one stream in the order of the calls, and never blocks its callers."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pending: deque[str] = deque()
        self._pending_chars = 0
        """Includes the text that is being written."""
        self._dropped_lines = 0
        self._is_stuck = False
        self._is_closed = False
        self._changed = threading.Condition()
        # Started now, because Python starts no thread while it exits.
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, text: str) -> None:
        with self._changed:
            if self._pending_chars + len(text) > MAX_PENDING_CHARS:
                self._dropped_lines += text.count("\n")
                return
            self._pending.append(text)
            self._pending_chars += len(text)
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until everything is written. Waits once, for WAIT_SECONDS, for a stuck reader."""
        with self._changed:
            if not self._is_stuck:
                written = self._changed.wait_for(lambda: not self._pending_chars, WAIT_SECONDS)
                self._is_stuck = not written

    def close(self) -> None:
        """End the thread when everything is written."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def take_dropped_lines(self) -> int:
        """How many lines were dropped since the last call; 0 while there is little room for it."""
        with self._changed:
            if self._pending_chars > MAX_PENDING_CHARS // 2:
                return 0
            dropped, self._dropped_lines = self._dropped_lines, 0
            return dropped

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._is_closed)
                if not self._pending:
                    return
                text = self._pending.popleft()
            with suppress(OSError, ValueError):  # the reader has closed the stream
                self._write(text)
            with self._changed:
                self._pending_chars -= len(text)
                self._is_stuck = False
                self._changed.notify_all()

    def _write(self, text: str) -> None:
        """Write past the buffers of Python, which would keep what cannot be written, and would be
        locked at the end of the process.
        """
        buffer = getattr(self._stream, "buffer", None)
        if buffer is None:
            self._stream.write(text)
            return
        raw = getattr(buffer, "raw", buffer)
        rest = memoryview(text.encode(self._stream.encoding, "backslashreplace"))
        while rest:
            written = raw.write(rest)
            if written is None:  # the host has made the pipe non-blocking, and it is full
                time.sleep(RETRY_SECONDS)
            else:
                rest = rest[written:]
