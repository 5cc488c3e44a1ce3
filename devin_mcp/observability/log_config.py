"""Configures the log of the process: which lines are written, and to which stream."""

from __future__ import annotations

import logging
import sys
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from devin_mcp.observability.log import Event, Level, buffer, event, flush
from devin_mcp.observability.stream_writer import StreamWriter

if TYPE_CHECKING:
    from devin_mcp.observability.log_lines import LineRenderer

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
    buffer.writer = StreamWriter(stream)
    colors = stream.isatty() and sys.platform != "win32"
    handler = _LogWriter(buffer.writer, level, style, colors=colors)
    buffer.write = handler.write_events
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


class _LogWriter(logging.StreamHandler[StreamWriter]):
    """Writes our events and the records of libraries."""

    def __init__(self, writer: StreamWriter, level: str, style: str, *, colors: bool) -> None:
        super().__init__(writer)
        self._writer = writer
        self._level_name = level
        self._style = style
        self._colors = colors

    @cached_property
    def _lines(self) -> LineRenderer:
        # Loaded with the first line: structlog would be one or two hundredths of each start.
        from devin_mcp.observability.log_lines import LineRenderer

        return LineRenderer(self._level_name, self._style, colors=self._colors)

    def write_events(self, events: list[tuple[Level, Event]]) -> None:
        if dropped := self._writer.take_dropped_lines():
            event("log_lines_dropped", level="warning", lines=dropped)
        self._writer.write(self._lines.render(events))

    def format(self, record: logging.LogRecord) -> str:
        return self._lines.format(record)
