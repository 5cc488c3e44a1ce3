"""When a request may be sent again, and when never.

GET, PUT and DELETE repeat themselves harmlessly. A POST creates or spends, so it is sent again only when the first
provably did nothing: it never left, Devin said the session is still initializing, or Devin said to slow down.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import httpx
from opentelemetry import trace

from devin_mcp.api.clock import Deadline
from devin_mcp.observability.log import current_call, event

CONNECT = 5.0
"""Seconds to reach Devin; longer means it cannot be reached."""
MAX_ATTEMPTS = 4
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 8.0
MAX_RETRY_AFTER_SECONDS = 20.0
"""A longer Retry-After is told to the caller instead of waited for."""
INITIALIZING_PAUSE = 5.0
"""What a production client waits between messages to a session that is still starting (v1.md §3.7)."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Bytes of an answer once inflated: 5,000 notes of 10 KB."""

ReportProgress = Callable[[str], Awaitable[None]]

_TRACER = trace.get_tracer("devin_mcp")
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_PASSING = frozenset({502, 503, 504})
_INITIALIZING = re.compile(rb"still initiali[sz]ing", re.IGNORECASE)
_SESSION_CAP = re.compile(rb"sessions? running|parallel|concurren|at once", re.IGNORECASE)


@dataclass
class RequestState:
    """One request on its way, carried in `request.extensions["sending"]` and shared by all its attempts."""

    route: str
    deadline: Deadline
    read_timeout: float
    tell: ReportProgress | None = None
    """Says why it takes longer, to whoever waits."""
    stream: bool = False
    number: int = 0
    left: bool = False
    """True once a byte of the present attempt may have reached the network."""
    arrived: bool = False
    """True once any attempt may have arrived, refused ones apart."""
    abandoned: bool = False
    """The caller is gone: what is on the wire is awaited, nothing is sent again."""
    closed: Callable[[str | None], None] | None = None
    """Of a stream that was opened: to be told when it is closed, and why if that was too soon."""

    async def trace(self, step: str, info: Mapping[str, Any]) -> None:
        """Httpcore's hook: notes the moment the request itself (not a proxy's CONNECT) starts to leave."""
        if step.endswith("send_request_headers.started"):
            request = info.get("request")
            self.left = self.left or request is None or request.method != b"CONNECT"


@dataclass
class Upstream:
    """Devin as this process sees it: how many requests it may be given at once, and how the last one ended."""

    gate: asyncio.Semaphore
    is_well: bool | None = None
    """None before the first answer. Trouble is something the operator hears of; it never ends anything."""


def is_initializing(response: httpx.Response) -> bool:
    return response.status_code == 400 and _INITIALIZING.search(response.content) is not None


def is_session_cap(response: httpx.Response, route: str) -> bool:
    """429 means two things; on starting a session it is usually the cap on parallel sessions (v1.md §8)."""
    return (
        response.status_code == 429
        and route == "POST /v1/sessions"
        and _SESSION_CAP.search(response.content) is not None
    )


def retry_after(response: httpx.Response) -> float | None:
    """Seconds the server asked to wait, from either form of the header (RFC 9110 §10.2.3), or None."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        return max(
            0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        )
    except (ValueError, OverflowError):
        return None


class RetryTransport(httpx.AsyncBaseTransport):
    """Wraps the transport that really sends, whether directly or through a proxy."""

    def __init__(self, inner: httpx.AsyncBaseTransport, upstream: Upstream) -> None:
        self._inner = inner
        self._upstream = upstream
        self._tells_when_it_leaves = isinstance(inner, httpx.AsyncHTTPTransport)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sending: RequestState = request.extensions["sending"]
        if self._tells_when_it_leaves and request.method == "POST":
            request.extensions["trace"] = sending.trace
        while True:
            sending.number += 1
            async with self._upstream.gate:
                attempt = _Attempt(request, sending)
                try:
                    response, problem = await self._attempt(request, sending)
                except BaseException as end:
                    attempt.log(
                        None,
                        "cancelled"
                        if isinstance(end, asyncio.CancelledError)
                        else type(end).__name__,
                    )
                    raise
            self._upstream.is_well = (
                response is not None and problem is None and response.status_code < 500
            )
            too_large = isinstance(problem, httpx.DecodingError)
            pause = (
                None
                if too_large
                else _retry_delay(request, sending, response if problem is None else None)
            )
            if sending.stream and problem is None and response is not None and response.is_success:
                sending.closed = partial(attempt.log, response)
            else:
                attempt.log(
                    response, type(problem).__name__ if problem is not None else None, pause
                )
            if pause is None and problem is not None:
                raise problem
            if pause is None and response is not None:
                done_before = (
                    request.method == "DELETE" and response.status_code == 404 and sending.arrived
                )
                return httpx.Response(204, request=request) if done_before else response
            sending.arrived = sending.arrived or (
                sending.left and (problem is not None or _is_transient(response))
            )
            if sending.tell is not None and pause is not None:
                await sending.tell(f"{_reason(response)}; trying again in {pause:.0f} s")
            sending.left = False  # whoever is cancelled in this pause leaves nothing behind
            await sending.deadline.clock.sleep(pause or 0)

    async def _attempt(
        self, request: httpx.Request, sending: RequestState
    ) -> tuple[httpx.Response | None, httpx.RequestError | None]:
        """The answer, or what came in its place; a body that breaks off leaves both."""
        if (
            not trace.get_current_span().is_recording()
        ):  # nobody wants to know: a span costs a tenth of a call
            return await self._exchanged(request, sending)
        with _TRACER.start_as_current_span(
            sending.route, kind=trace.SpanKind.CLIENT, record_exception=False
        ) as span:
            response, problem = await self._exchanged(request, sending)
            if span.is_recording():
                _describe(span, request, sending, response, problem)
        return response, problem

    async def _exchanged(
        self, request: httpx.Request, sending: RequestState
    ) -> tuple[httpx.Response | None, httpx.RequestError | None]:
        sending.left = not self._tells_when_it_leaves or request.method != "POST"
        request.extensions["timeout"] = _timeouts(sending)
        response: httpx.Response | None = None
        try:
            response = await self._inner.handle_async_request(request)
            if not sending.stream or response.status_code >= 300:
                await _read(response)  # here, so that a body cut in half is part of the attempt
        except httpx.RequestError as error:
            sending.left = sending.left and not isinstance(error, _NEVER_LEFT)
            if response is not None:
                await response.aclose()
            return response, error
        return response, None


def _describe(
    span: trace.Span,
    request: httpx.Request,
    sending: RequestState,
    response: httpx.Response | None,
    problem: httpx.RequestError | None,
) -> None:
    """By the conventions for HTTP clients, but with the route in place of the address, which has ids and signatures."""
    method, _, template = sending.route.partition(" ")
    span.set_attributes(
        {
            "http.request.method": method,
            "url.template": template,
            "server.address": request.url.host,
        }
    )
    span.set_attribute("http.request.resend_count", sending.number - 1)
    if response is not None:
        span.set_attribute("http.response.status_code", response.status_code)
    if problem is not None or (response is not None and response.status_code >= 400):
        span.set_attribute(
            "error.type",
            type(problem).__name__ if problem else str(response.status_code if response else ""),
        )
        span.set_status(trace.StatusCode.ERROR)


async def _read(response: httpx.Response) -> None:
    """As `response.aread()`, but a small body that inflates without end is not taken."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > MAX_RESPONSE_BYTES:
            raise httpx.DecodingError("too large")
    response._content = b"".join(parts)


def _timeouts(sending: RequestState) -> dict[str, float]:
    left = max(0.05, sending.deadline.left())
    read = min(sending.read_timeout, left)
    return {"connect": min(CONNECT, left), "read": read, "write": read, "pool": min(CONNECT, left)}


def _is_transient(response: httpx.Response | None) -> bool:
    return response is not None and response.status_code in _PASSING


def _reason(response: httpx.Response | None) -> str:
    if response is None or response.status_code in _PASSING:
        return "Devin cannot be reached right now"
    return (
        "The session is still starting" if is_initializing(response) else "Devin asks to slow down"
    )


def _retry_delay(
    request: httpx.Request, sending: RequestState, response: httpx.Response | None
) -> float | None:
    """Seconds to wait before sending again, or None when it must not or need not be sent again."""
    wait = _backoff_for(request, sending, response)
    if wait is None or sending.abandoned or wait >= sending.deadline.left():
        return None
    return wait


def _backoff_for(
    request: httpx.Request, sending: RequestState, response: httpx.Response | None
) -> float | None:
    posts = request.method == "POST"
    if response is not None and response.is_success:
        return None
    if response is not None and posts and is_initializing(response):
        return float(INITIALIZING_PAUSE * random.uniform(0.8, 1.0))
    if sending.number >= MAX_ATTEMPTS:
        return None
    backoff: float = min(
        MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (sending.number - 1)
    ) * random.uniform(0.5, 1.0)
    if response is None:
        return None if posts and sending.left else backoff
    if (response.status_code == 429 and not is_session_cap(response, sending.route)) or (
        response.status_code in _PASSING and not posts
    ):
        asked = retry_after(response)
    else:
        return None
    if asked is None:
        return backoff
    return asked if asked <= MAX_RETRY_AFTER_SECONDS else None


class _Attempt:
    """One request on the wire: counted when it goes out, logged when it has ended, whatever its end."""

    def __init__(self, request: httpx.Request, sending: RequestState) -> None:
        self._record = current_call.get()
        self._facts: dict[str, Any] = {
            "route": sending.route,
            "attempt": sending.number,
            "bytes_out": int(request.headers.get("content-length", 0)),
        }
        self._began = time.perf_counter()
        if self._record is not None:
            self._record.attempts += 1
            self._record.bytes_out += self._facts["bytes_out"]

    def log(
        self, response: httpx.Response | None, error: str | None = None, pause: float | None = None
    ) -> None:
        facts = {
            **self._facts,
            "duration_ms": round((time.perf_counter() - self._began) * 1000, 1),
            "error": error,
        }
        if response is not None:
            facts |= {"status": response.status_code, "bytes_in": response.num_bytes_downloaded}
        if pause is not None:
            facts["retry_in_s"] = round(pause, 1)
        if self._record is not None:
            facts = {"call_id": self._record.call_id, **facts}
            self._record.status = facts.get("status")
            self._record.bytes_in += facts.get("bytes_in", 0)
        failed = error is not None or (response is not None and response.status_code >= 400)
        event(
            "api_request",
            level="warning" if failed else "info",
            **facts,
        )
