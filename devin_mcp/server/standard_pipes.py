"""Standard input and output as pipes that the event loop watches.

The SDK reads and writes each line in a worker thread, which is most of what a short call costs. A
pipe or socket needs no thread. Files, terminals and Windows do, because no event loop can wait for
them.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections import deque
from dataclasses import dataclass
from typing import Self

READ_BYTES = 65_536
"""A pipe of Linux holds no more."""
MAX_WAITING_BYTES = 1 << 20
"""Lines that wait to be handled; while there are more, nothing is read."""


@dataclass
class StandardPipes:
    """The pipes behind standard input and output.

    In their place, other files are open: what a library prints goes to standard error, and a child
    process reads nothing.
    """

    input: int
    output: int
    """Descriptors of their own."""
    output_was_blocking: bool

    @classmethod
    def open(cls) -> Self | None:
        """None where a stream is neither pipe nor socket, or where one is the same as another:
        writing without blocking is a property of the open file, which must not spread to the log.
        """
        if sys.platform == "win32":
            return None
        files = [os.fstat(number) for number in range(3)]
        has_pipes = all(
            stat.S_ISFIFO(file.st_mode) or stat.S_ISSOCK(file.st_mode) for file in files[:2]
        )
        if not has_pipes or len({(file.st_dev, file.st_ino) for file in files}) < len(files):
            return None
        pipes = cls(os.dup(0), os.dup(1), os.get_blocking(1))
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        os.set_blocking(pipes.output, False)
        return pipes

    def restore(self) -> None:
        """Bring them back, and the way of writing that other processes expect."""
        if sys.platform == "win32":
            return
        os.set_blocking(self.output, self.output_was_blocking)
        os.dup2(self.output, 1)
        os.dup2(self.input, 0)


class InputLines:
    """The lines of a descriptor, without their ends. The last one needs no end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._beginning: list[bytes] = []
        """Of the line whose end was not read yet."""
        self._is_at_end = False
        self._is_reading = False
        self._has_news = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not self._lines:
            if self._is_at_end:
                raise StopAsyncIteration
            if not self._is_reading:
                self._is_reading = True
                self._loop.add_reader(self._descriptor, self._read)
            self._has_news.clear()
            await self._has_news.wait()
        line = self._lines.popleft()
        self._waiting_bytes -= len(line)
        return line.decode("utf-8", "replace")

    def close(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the connection is gone
            data = b""
        if data:
            *ends, beginning = data.split(b"\n")
            for end in ends:
                self._add(end)
            if beginning:
                self._beginning.append(beginning)
        else:
            self._is_at_end = True
            if self._beginning:
                self._add(b"")
        if self._is_at_end or self._waiting_bytes > MAX_WAITING_BYTES:
            self.close()
        if self._lines or self._is_at_end:
            self._has_news.set()

    def _add(self, end: bytes) -> None:
        line = b"".join((*self._beginning, end)) if self._beginning else end
        self._beginning.clear()
        self._lines.append(line)
        self._waiting_bytes += len(line)


class OutputPipe:
    """Writes texts to a descriptor that does not block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()

    async def write(self, text: str) -> None:
        """Raises OSError, such as BrokenPipeError when nobody reads any more."""
        rest = memoryview(text.encode())
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                await self._wait_for_room()

    async def flush(self) -> None:
        """Nothing: a write returns when all is written."""

    async def _wait_for_room(self) -> None:
        has_room = asyncio.Event()
        self._loop.add_writer(self._descriptor, has_room.set)
        try:
            await has_room.wait()
        finally:
            self._loop.remove_writer(self._descriptor)
