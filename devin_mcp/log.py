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
import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TextIO

import structlog
from opentelemetry import trace

KEY_SHAPE = re.compile(r"\b(?:apk|cog)_[A-Za-z0-9_+/=.~-]{4,}")
HIDDEN = "[hidden]"

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FOREIGN = ("mcp", "httpx", "httpcore", "uvicorn", "asyncio")

Event = MutableMapping[str, Any]


class Redactor:
    """Replaces known secret values and anything shaped like a Devin key. One per process; values are only added."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._escaped: set[str] = set()

    def hide(self, values: Iterable[str]) -> None:
        """Never write these values. Shorter than four characters would blank ordinary words, so those are skipped."""
        self._values.update(value for value in values if len(value) >= 4)
        self._escaped = {json.dumps(value, ensure_ascii=False)[1:-1] for value in self._values}

    def clean(self, text: str) -> str:
        if "apk_" in text or "cog_" in text:
            text = KEY_SHAPE.sub(HIDDEN, text)
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        return text

    def clean_json(self, text: str) -> str:
        """The same within JSON, where a value may stand escaped."""
        if "apk_" not in text and "cog_" not in text and not any(value in text for value in self._escaped):
            return text
        return json.dumps(self._cleaned(json.loads(text)), ensure_ascii=False, separators=(",", ":"))

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, list):
            return [self._cleaned(part) for part in value]
        if isinstance(value, dict):
            return {self.clean(name): self._cleaned(part) for name, part in value.items()}
        return value

    def __call__(self, logger: object, method: str, event: Event) -> Event:
        """As a structlog processor: every text of the event, one level deep (ours are flat)."""
        for name, value in event.items():
            if isinstance(value, str):
                event[name] = self.clean(value)
            elif isinstance(value, list):
                event[name] = [self.clean(part) if isinstance(part, str) else part for part in value]
        return event


redactor = Redactor()


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


def begin(method: str, caller: str | None = None) -> CallRecord:
    """The record of a call that begins now; the `mcp_call` event at its end must follow."""
    for observer in observers:
        observer("call_began", {"method": method})
    return CallRecord(secrets.token_hex(4), caller)


def note(**facts: Any) -> None:
    """Add facts (never argument values) to the `mcp_call` event of the call being served."""
    record = current_call.get()
    if record is not None:
        record.facts.update(facts)


_bound: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def event(name: str, *, bad: bool = False, crash: bool = False, **facts: Any) -> None:
    """Write one line: `bad` ones as warnings, a `crash` as an error. Facts that are None are left out."""
    known = {key: value for key, value in facts.items() if value is not None}
    for observer in observers:
        observer(name, known)
    (_bound.error if crash else _bound.warning if bad else _bound.info)(name, **known)


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process: `level` debug..error, `style` json or console; to stderr unless told otherwise."""
    stream = sys.stderr if stream is None else stream
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True)
        if style == "json"
        else structlog.processors.TimeStamper("%H:%M:%S", utc=False),
        _frames_only,
        _whose,
        redactor,
        _in_order,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=True)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=_wants_colour(stream), pad_event_to=12, sort_keys=False)
    )
    for_people = [] if style == "json" else [_for_people]
    structlog.configure(
        processors=[*shared, *for_people, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    global _bound  # noqa: PLW0603 - logging is the process's own; a bound logger spares building one for every line
    _bound = structlog.get_logger().bind()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(["error", "frames"]), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(_strip_texts)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and sys.platform != "win32"


def _strip_texts(record: logging.LogRecord) -> bool:
    """Keep another library's template and its numbers; its texts may be anything a person wrote."""
    if record.args:
        args = record.args if isinstance(record.args, tuple) else (record.args,)
        record.msg = _fill(str(record.msg), args)
        record.args = None
    if record.name.startswith("httpcore"):  # it writes headers into its texts: cookies, signed addresses, echoes
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
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else "<...>"

    return re.sub(r"%(?:%|\([^)]*\)[a-zA-Z]|[-+ #0]*[\d.*]*[a-zA-Z])", one, template)


def _debugging() -> bool:
    return logging.getLogger("mcp").isEnabledFor(logging.DEBUG)


def frames(trace: TracebackType | None) -> list[str]:
    """Where an exception came from, without its text: `file:line function`, innermost last."""
    return [f"{step.filename}:{step.lineno} {step.name}" for step in traceback.extract_tb(trace)[-8:]]


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


def _whose(logger: object, method: str, event: Event) -> Event:
    """The call, the caller and the trace that a line belongs to."""
    record = current_call.get()
    if record is not None:
        event.setdefault("call_id", record.call_id)
        if record.caller is not None:
            event["caller"] = record.caller
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
    return event


def _frames_only(logger: object, method: str, event: Event) -> Event:
    """`exc_info=` becomes the type and, at debug, the frames; an exception's own text can hold what must not be written."""
    problem = event.pop("exc_info", None)
    if isinstance(problem, BaseException):
        event["error"] = type(problem).__name__
        if _debugging():
            event["frames"] = frames(problem.__traceback__)
    return event
