"""structlog to stderr: one `mcp_call` event per call, one `api_request` per attempt, nothing that must not be written.

Our own events carry facts only (names, ids, numbers, kinds). Lines of the SDK, httpx and uvicorn pass the same
redaction and lose every text they would have filled in, because those texts can be a prompt or a key.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO, cast

import structlog
from opentelemetry import trace

from devin_mcp.observability.log_buffer import LineBuffer
from devin_mcp.observability.redaction import redactor

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_FOREIGN = ("mcp", "httpx", "httpcore", "uvicorn", "asyncio")

Event = MutableMapping[str, Any]
Level = Literal["info", "warning", "error"]


@dataclass
class CallRecord:
    """What is known of the call being served; filled in as it goes and logged once at its end."""

    call_id: str
    caller: str | None = None
    """Who asked, where callers are told apart."""
    facts: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0
    status: int | None = None
    bytes_out: int = 0
    bytes_in: int = 0


current_call: ContextVar[CallRecord | None] = ContextVar("current_call", default=None)


Observer = Callable[[str, Mapping[str, Any]], None]

observers: list[Observer] = []
"""Told of every event of ours at any level, and of `call_began`, which is not written; metrics are made of these."""


def begin_call(method: str, caller: str | None = None) -> CallRecord:
    """The record of a call that begins now; the `mcp_call` event at its end must follow."""
    for observer in observers:
        observer("call_began", {"method": method})
    return CallRecord(secrets.token_hex(4), caller)


def add_call_facts(**facts: Any) -> None:
    """Add facts (never argument values) to the `mcp_call` event of the call being served."""
    record = current_call.get()
    if record is not None:
        record.facts.update(facts)


def event(name: str, *, level: Level = "info", **facts: Any) -> None:
    """Write one log line. Facts that are None are left out."""
    known = {key: value for key, value in facts.items() if value is not None}
    for observer in observers:
        observer(name, known)
    _lines.add((level, {"event": name, **known, **_whose(), "at": time.time()}))


def flush() -> None:
    """Write what waits, before an end that runs no more code."""
    _lines.flush()
    sys.stderr.flush()


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process: `level` debug..error, `style` json or console; to stderr unless told otherwise."""
    stream = sys.stderr if stream is None else stream
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        _stamped(style),
        _frames_only,
        _in_order,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_as_json)
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=_wants_colour(stream), pad_event_to=12, sort_keys=False
        )
    )
    # Looked through last of all, so that nothing is written that was not.
    written: list[structlog.typing.Processor] = (
        [renderer, _clean_json] if style == "json" else [_for_people, renderer, _clean_text]
    )
    rows: list[str] = []
    structlog.configure(
        processors=[*shared, *written],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Rows(rows))),
        cache_logger_on_first_use=False,
    )
    bound = structlog.get_logger().bind()

    def write(events: list[tuple[str, Event]]) -> None:
        for method, facts in events:
            getattr(bound, method)(**facts)
        whole = "".join(rows)
        rows.clear()
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.write(whole)
            stream.flush()

    global _lines  # noqa: PLW0603 - logging is the process's own
    _lines.close()
    _lines = LineBuffer(write)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(["error", "frames"]),
                _with_whose,
                *shared,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
        )
    )
    handler.addFilter(_strip_texts)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


_lines: LineBuffer[tuple[str, Event]] = LineBuffer(lambda _: None)
"""Events that wait for a moment; nobody writes any before `configure`."""


class _Rows:
    """Where structlog writes lines to, for them to be written together."""

    def __init__(self, rows: list[str]) -> None:
        self.write = rows.append

    def flush(self) -> None:
        """Nothing to do: `write` above has the last word."""


def _stamped(style: str) -> structlog.typing.Processor:
    def stamped(logger: object, method: str, event: Event) -> Event:
        """The moment of the event itself; its line may be written a little later."""
        moment = datetime.fromtimestamp(event.pop("at", None) or time.time(), UTC)
        if style == "json":
            event["timestamp"] = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
        else:
            event["timestamp"] = moment.astimezone().strftime("%H:%M:%S")
        return event

    return stamped


def _clean_json(logger: object, method: str, line: Any) -> str:
    return redactor.clean_json(line)


def _clean_text(logger: object, method: str, line: Any) -> str:
    return redactor.clean(line)


_ENCODER = json.JSONEncoder(ensure_ascii=True, default=repr)


def _as_json(event: Event, **_: Any) -> str:
    """With one encoder for all lines; json.dumps would make one for each."""
    return _ENCODER.encode(event)


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and sys.platform != "win32"


def _strip_texts(record: logging.LogRecord) -> bool:
    """Keep another library's template and its numbers; its texts may be anything a person wrote."""
    if record.args:
        args = record.args if isinstance(record.args, tuple) else (record.args,)
        record.msg = _fill(str(record.msg), args)
        record.args = None
    if record.name.startswith(
        "httpcore"
    ):  # it writes headers into its texts: cookies, signed addresses, echoes
        record.msg = str(record.msg).split(" ")[0]
    record.msg = str(record.msg)[:300]
    if record.exc_info and record.exc_info[0] is not None:
        record.error = record.exc_info[0].__name__
        if _debugging():
            record.frames = frames(record.exc_info[2])
        record.exc_info = None
        record.exc_text = None
    return True


def _fill(template: str, args: tuple[Any, ...]) -> str:
    left = list(args)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        value = left.pop(0) if left else None
        return (
            str(value)
            if isinstance(value, int | float) and not isinstance(value, bool)
            else "<...>"
        )

    return re.sub(r"%(?:%|\([^)]*\)[a-zA-Z]|[-+ #0]*[\d.*]*[a-zA-Z])", one, template)


def _debugging() -> bool:
    return logging.getLogger("mcp").isEnabledFor(logging.DEBUG)


def frames(trace: TracebackType | None) -> list[str]:
    """Where an exception came from, without its text: `file:line function`, innermost last."""
    return [
        f"{step.filename}:{step.lineno} {step.name}" for step in traceback.extract_tb(trace)[-8:]
    ]


def _in_order(logger: object, method: str, event: Event) -> Event:
    """When, how bad and what stand first: a line is read from the left."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**first, **event}


_FOR_MACHINES = ("operation", "bytes_in", "bytes_out", "protocol", "client", "effect", "trace_id")


def _for_people(logger: object, method: str, event: Event) -> Event:
    """A line that fits a terminal and cannot steer it: what a person asks first; the JSON form has the rest."""
    for name in _FOR_MACHINES:
        event.pop(name, None)
    if "tool" in event:
        event.pop("method", None)
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = value.encode("unicode_escape").decode()
    return event


def _whose() -> dict[str, str]:
    """The call, the caller and the trace that a line belongs to."""
    known = {}
    record = current_call.get()
    if record is not None:
        known["call_id"] = record.call_id
        if record.caller is not None:
            known["caller"] = record.caller
    span = trace.get_current_span()
    if span is not trace.INVALID_SPAN and (context := span.get_span_context()).is_valid:
        known["trace_id"] = f"{context.trace_id:032x}"
    return known


def _with_whose(logger: object, method: str, event: Event) -> Event:
    return {**event, **_whose()}


def _frames_only(logger: object, method: str, event: Event) -> Event:
    """`exc_info=` becomes the type and, at debug, the frames; an exception's own text can hold what must not be written."""
    problem = event.pop("exc_info", None)
    if isinstance(problem, BaseException):
        event["error"] = type(problem).__name__
        if _debugging():
            event["frames"] = frames(problem.__traceback__)
    return event
