"""Retries: which requests are sent again, when, and which never are.

A retry-safe request (GET, PUT, DELETE) is repeated after transient failures. Any other request
creates or spends, so it is repeated only if the first attempt provably did nothing: it was never
sent, the session was still initializing, or Devin itself answered 429.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from opentelemetry import trace

from devin_mcp.api.error_body import is_from_devin
from devin_mcp.api.fair_slots import FairSlots
from devin_mcp.api.request_state import RequestState
from devin_mcp.api.response_body import read_body
from devin_mcp.api.responses import (
    is_initializing,
    is_session_limit,
    is_transient,
    retry_after,
)
from devin_mcp.api.spans import Outcome, traced
from devin_mcp.observability.log import current_call, event

CONNECT_TIMEOUT = 5.0
MAX_ATTEMPTS = 4
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 8.0
MAX_RETRY_AFTER_SECONDS = 20.0
"""A longer Retry-After is reported to the caller instead of waited for (design.md §10)."""
INITIALIZING_PAUSE_SECONDS = 5.0
"""A production client pauses so long before a message to a starting session (v1.md §3.7)."""
MIN_TIMEOUT = 0.05

LOCATION = "location"
"""Key of the Location header in the extensions of a response."""

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass
class UpstreamState:
    """One per process: limits concurrent requests to Devin, and remembers whether the last one got
    a response below 500.
    """

    slots: FairSlots
    is_healthy: bool | None = None
    """None before the first response. For /readyz and metrics only: it never stops a request."""


class RetryTransport(httpx.AsyncBaseTransport):
    """Wraps the transport that sends, directly or through a proxy."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, upstream: UpstreamState, key_fingerprint: str
    ) -> None:
        self._inner = inner
        self._upstream = upstream
        self._key_fingerprint = key_fingerprint
        self._traces_sending = not isinstance(inner, httpx.ASGITransport)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        state: RequestState = request.extensions["state"]
        if self._traces_sending and not state.endpoint.retry_safe:
            request.extensions["trace"] = state.trace
        while True:
            state.attempt += 1
            async with self._upstream.slots.slot(self._key_fingerprint):
                attempt = _Attempt(request, state)
                try:
                    response, error = await self._attempt(request, state)
                except BaseException as end:
                    cancelled = isinstance(end, asyncio.CancelledError)
                    attempt.log(None, "cancelled" if cancelled else type(end).__name__)
                    raise
            self._upstream.is_healthy = (
                response is not None and error is None and response.status_code < 500
            )
            delay = _retry_delay(state, response, error)
            if state.stream and error is None and response is not None and response.is_success:
                state.on_closed = partial(attempt.log, response)
            else:
                attempt.log(response, None if error is None else type(error).__name__, delay)
            if delay is None:
                return _final_response(request, state, response, error)
            if state.sent and (error is not None or not _is_refused_by_devin(response)):
                state.may_have_arrived = True
            if state.report is not None:
                await state.report(f"{_retry_reason(response)}; trying again in {delay:.0f} s")
            # Nothing is on the wire during the back-off, so cancelling here is safe.
            state.sent = False
            await state.deadline.clock.sleep(delay)

    async def _attempt(self, request: httpx.Request, state: RequestState) -> Outcome:
        if trace.get_current_span().is_recording():  # a span costs a tenth of a call
            return await traced(self._send_once, request, state)
        return await self._send_once(request, state)

    async def _send_once(self, request: httpx.Request, state: RequestState) -> Outcome:
        """The response, or the error in its place; a body that breaks off gives both."""
        state.sent = state.endpoint.retry_safe or not self._traces_sending
        request.extensions["timeout"] = _timeouts(state)
        response: httpx.Response | None = None
        try:
            response = await self._inner.handle_async_request(request)
            if not state.stream or response.status_code >= 300:
                await read_body(
                    response, state
                )  # here, so that a truncated body belongs to the attempt
        except httpx.RequestError as error:
            state.sent = state.sent and not isinstance(error, _NEVER_SENT)
            if response is not None:
                await response.aclose()
            return response, error
        return response, None


def _final_response(
    request: httpx.Request,
    state: RequestState,
    response: httpx.Response | None,
    error: httpx.RequestError | None,
) -> httpx.Response:
    if error is not None or response is None:
        raise error or httpx.RequestError("no response", request=request)
    is_gone = response.status_code == 404 and is_from_devin(response)
    if request.method == "DELETE" and is_gone and state.may_have_arrived:
        return httpx.Response(204, request=request)  # an earlier attempt deleted it
    # httpx parses a Location even if nobody follows it, and raises for an invalid one.
    response.extensions[LOCATION] = response.headers.pop("location", "")
    return response


def _is_refused_by_devin(response: httpx.Response | None) -> bool:
    """True if Devin did nothing. False for whatever answered in between: it may have passed the
    request on.
    """
    return response is not None and not is_transient(response) and is_from_devin(response)


def _timeouts(state: RequestState) -> dict[str, float]:
    deadline = state.deadline
    left = max(MIN_TIMEOUT, deadline.at - deadline.clock.now())
    read, connect = min(state.read_timeout, left), min(CONNECT_TIMEOUT, left)
    return {"connect": connect, "read": read, "write": read, "pool": connect}


def _retry_reason(response: httpx.Response | None) -> str:
    if response is None or is_transient(response):
        return "Devin cannot be reached right now"
    if is_initializing(response):
        return "The session is still starting"
    return "Devin asks to slow down"


def _retry_delay(
    state: RequestState, response: httpx.Response | None, error: httpx.RequestError | None
) -> float | None:
    """Seconds until the next attempt; None if the request must not or need not be repeated."""
    if response is not None and response.is_success and error is None:
        return None
    if isinstance(error, httpx.DecodingError):  # too large or damaged: it would be so again
        return None
    delay = _backoff_for(state, None if error is not None else response)
    if delay is None or state.caller_gone or delay >= state.deadline.seconds_left():
        return None
    return delay


def _backoff_for(state: RequestState, response: httpx.Response | None) -> float | None:
    retry_safe = state.endpoint.retry_safe
    if response is not None and not retry_safe and is_initializing(response):
        return float(INITIALIZING_PAUSE_SECONDS * random.uniform(0.8, 1.0))
    if state.attempt >= MAX_ATTEMPTS:
        return None
    exponential = FIRST_BACKOFF_SECONDS * 2 ** (state.attempt - 1)
    backoff = float(min(MAX_BACKOFF_SECONDS, exponential) * random.uniform(0.5, 1.0))
    if response is None:
        return backoff if retry_safe or not state.sent else None
    rate_limited = response.status_code == 429 and not is_session_limit(response, state.endpoint)
    if rate_limited and not retry_safe:
        rate_limited = is_from_devin(response)
    if not rate_limited and not (retry_safe and is_transient(response)):
        return None
    requested = retry_after(response)
    if requested is None:
        return backoff
    return requested if requested <= MAX_RETRY_AFTER_SECONDS else None


class _Attempt:
    """One attempt on the wire: counted when it begins, logged when it ends, however it ends."""

    def __init__(self, request: httpx.Request, state: RequestState) -> None:
        self._call = current_call.get()
        self._facts: dict[str, Any] = {
            "route": state.endpoint.route,
            "attempt": state.attempt,
            "bytes_out": int(request.headers.get("content-length", 0)),
        }
        self._started_at = time.perf_counter()
        if self._call is not None:
            self._call.attempts += 1
            self._call.writes += not state.endpoint.is_read
            self._call.bytes_out += self._facts["bytes_out"]

    def log(
        self,
        response: httpx.Response | None,
        error: str | None = None,
        delay: float | None = None,
    ) -> None:
        duration_ms = round((time.perf_counter() - self._started_at) * 1000, 1)
        facts = {**self._facts, "duration_ms": duration_ms, "error": error}
        failed = error is not None
        if response is not None:
            failed = failed or response.status_code >= 400
            facts["status"] = response.status_code
            facts["bytes_in"] = response.num_bytes_downloaded
        if delay is not None:
            facts["retry_in_s"] = round(delay, 1)
        if self._call is not None:
            facts = {"call_id": self._call.call_id, **facts}
            self._call.status = facts.get("status")
            self._call.bytes_in += facts.get("bytes_in", 0)
        event("api_request", level="warning" if failed else "info", **facts)
