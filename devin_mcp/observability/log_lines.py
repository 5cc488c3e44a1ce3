"""The lines of the log: made by structlog, as JSON or for a console, and redacted.

The lines of the SDK, httpx and uvicorn are redacted like ours. They also lose the texts that would
fill their templates, because those may be a prompt or a key.
"""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog

from devin_mcp.observability.log import Event, Level, context_ids, event
from devin_mcp.observability.printable import printable
from devin_mcp.observability.redaction import redactor
from devin_mcp.observability.stream_writer import StreamWriter

MAX_LIBRARY_MESSAGE_CHARS = 300
MAX_FRAMES = 8

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_HIDDEN_ON_CONSOLE = (
    "operation",
    "bytes_in",
    "bytes_out",
    "protocol",
    "client",
    "effect",
    "trace_id",
)
_PLACEHOLDER = re.compile(r"%(?:%|\([^)]*\)[a-zA-Z]|[-+ #0]*[\d.*]*[a-zA-Z])")
_JSON_ENCODER = json.JSONEncoder(ensure_ascii=True, default=repr)


class LogLines:
    """Makes the lines of one log: of our events, and of the records of libraries."""

    def __init__(self, writer: StreamWriter, level: str, style: str, *, colors: bool) -> None:
        self._writer = writer
        before: list[structlog.typing.Processor] = [
            structlog.processors.add_log_level,
            _add_json_timestamp if style == "json" else _add_console_time,
            _exception_to_facts,
            _order_keys,
        ]
        render = _json_rendering() if style == "json" else _console_rendering(colors=colors)
        self._logger = structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[*before, *render],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        ).bind()
        self._formatter = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(["error", "frames"]),
                _add_context_ids,
                *before,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )

    def write(self, events: list[tuple[Level, Event]]) -> None:
        """Write the events that are not below the level."""
        if dropped := self._writer.take_dropped_lines():
            event("log_lines_dropped", level="warning", lines=dropped)
        lines = [getattr(self._logger, level)(**facts) for level, facts in events]
        self._writer.write("".join(f"{line}\n" for line in lines if line is not None))

    def format(self, record: logging.LogRecord) -> str:
        """The line of a library, without the texts that would fill its template."""
        _strip_texts(record)
        return self._formatter.format(record)


def _json_rendering() -> list[structlog.typing.Processor]:
    """The last processors; redaction comes after the rendering, so that it sees the whole line."""
    return [structlog.processors.JSONRenderer(serializer=_to_json), _redact_json]


def _console_rendering(*, colors: bool) -> list[structlog.typing.Processor]:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=12, sort_keys=False)
    return [_keep_console_facts, renderer, _redact_text]


def _to_json(event: Event, **_: Any) -> str:
    """JSON from one encoder for all lines; json.dumps would create an encoder for each."""
    return _JSON_ENCODER.encode(event)


def _redact_json(logger: object, method: str, line: Any) -> str:
    """It stays in ASCII, so that a terminal shows no character that could control it."""
    return redactor.clean_json(line, ensure_ascii=True)


def _redact_text(logger: object, method: str, line: Any) -> str:
    return redactor.clean(line)


def _keep_console_facts(logger: object, method: str, event: Event) -> Event:
    """Keep the facts that fit a terminal, and make them printable, before the renderer adds the
    control characters of colors.
    """
    for name in _HIDDEN_ON_CONSOLE:
        event.pop(name, None)
    if "tool" in event:
        event.pop("method", None)
    for name, value in event.items():
        if not isinstance(value, int | float):
            event[name] = printable(str(redactor.clean_value(value)))
    return event


def _time_of(event: Event) -> datetime:
    """When the event happened. Its line may be written a little later."""
    return datetime.fromtimestamp(event.pop("at", None) or time.time(), UTC)


def _add_json_timestamp(logger: object, method: str, event: Event) -> Event:
    timestamp = _time_of(event).isoformat(timespec="microseconds")
    event["timestamp"] = timestamp.replace("+00:00", "Z")
    return event


def _add_console_time(logger: object, method: str, event: Event) -> Event:
    event["timestamp"] = _time_of(event).astimezone().strftime("%H:%M:%S")
    return event


def _order_keys(logger: object, method: str, event: Event) -> Event:
    """Put time, level and name first, for people who read lines from the left."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**first, **event}


def _add_context_ids(logger: object, method: str, event: Event) -> Event:
    return {**event, **context_ids()}


def _exception_to_facts(logger: object, method: str, event: Event) -> Event:
    """Replace `exc_info` by the type and, at debug, the frames; its text may contain a secret."""
    exception = event.pop("exc_info", None)
    if isinstance(exception, BaseException):
        event["error"] = type(exception).__name__
        if _is_debugging():
            event["frames"] = _frames(exception.__traceback__)
    return event


def _strip_texts(record: logging.LogRecord) -> None:
    """Keep the template and the numbers of a library's line, and drop its texts."""
    if record.args:
        args = record.args if isinstance(record.args, tuple) else (record.args,)
        record.msg = _fill_numbers(str(record.msg), args)
        record.args = None
    if record.name.startswith("httpcore"):  # formats headers (cookies, signed URLs) itself
        record.msg = str(record.msg).split(" ")[0]
    record.msg = str(record.msg)[:MAX_LIBRARY_MESSAGE_CHARS]
    if record.exc_info and record.exc_info[0] is not None:
        record.error = record.exc_info[0].__name__
        if _is_debugging():
            record.frames = _frames(record.exc_info[2])
        record.exc_info = None
        record.exc_text = None


def _fill_numbers(template: str, args: tuple[Any, ...]) -> str:
    remaining = list(args)

    def fill(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        value = remaining.pop(0) if remaining else None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return str(value) if is_number else "<...>"

    return _PLACEHOLDER.sub(fill, template)


def _is_debugging() -> bool:
    return logging.getLogger("mcp").isEnabledFor(logging.DEBUG)


def _frames(trace: TracebackType | None) -> list[str]:
    """The innermost frames of an exception, as `file:line function`, innermost last."""
    frames = traceback.extract_tb(trace)[-MAX_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
