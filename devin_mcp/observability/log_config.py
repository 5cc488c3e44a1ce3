"""Configures the log of the process: which lines are written, and to which stream."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TextIO

from devin_mcp.observability.log import buffer, flush
from devin_mcp.observability.stream_writer import StreamWriter

if TYPE_CHECKING:
    from devin_mcp.observability.log_lines import LogLines

LIBRARIES = ("mcp", "httpx", "httpcore", "uvicorn", "asyncio")
"""Libraries whose lines are written: warnings and errors, at debug everything."""


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Configure logging of the process.

    `level` is debug, info, warning or error; `style` is json or console; `stream` is stderr by
    default. Lines logged before the call still go to the previous stream.
    """
    stream = sys.stderr if stream is None else stream
    flush()
    if buffer.writer is not None:
        buffer.writer.close()
    writer = buffer.writer = StreamWriter(stream)
    colors = stream.isatty() and sys.platform != "win32"

    @cache
    def lines() -> LogLines:
        # Loaded with the first line: structlog would be one or two hundredths of each start.
        from devin_mcp.observability.log_lines import LogLines

        loaded = LogLines(writer, level, style, colors=colors)
        buffer.write = loaded.write
        return loaded

    buffer.write = lambda events: lines().write(events)
    handler = _LibraryHandler(writer, lines)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


class _LibraryHandler(logging.StreamHandler[StreamWriter]):
    """Writes the records of libraries."""

    def __init__(self, writer: StreamWriter, lines: Callable[[], LogLines]) -> None:
        super().__init__(writer)
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        return self._lines().format(record)
