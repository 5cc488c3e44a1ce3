"""One OpenTelemetry span per request to Devin, by the semantic conventions for HTTP clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
from opentelemetry import trace

from devin_mcp.api.request_state import RequestState

Outcome = tuple[httpx.Response | None, httpx.RequestError | None]

_TRACER = trace.get_tracer("devin_mcp")


async def traced(
    send: Callable[[httpx.Request, RequestState], Awaitable[Outcome]],
    request: httpx.Request,
    state: RequestState,
) -> Outcome:
    """Run `send` inside a client span."""
    with _TRACER.start_as_current_span(
        state.endpoint.route, kind=trace.SpanKind.CLIENT, record_exception=False
    ) as span:
        response, error = await send(request, state)
        if span.is_recording():
            _set_attributes(span, request, state, response, error)
    return response, error


def _set_attributes(
    span: trace.Span,
    request: httpx.Request,
    state: RequestState,
    response: httpx.Response | None,
    error: httpx.RequestError | None,
) -> None:
    """The path template replaces the URL, which contains ids and signatures."""
    span.set_attributes(
        {
            "http.request.method": state.endpoint.method,
            "url.template": state.endpoint.template,
            "server.address": request.url.host,
            "http.request.resend_count": state.attempt - 1,
        }
    )
    error_type = "" if error is None else type(error).__name__
    if response is not None:
        span.set_attribute("http.response.status_code", response.status_code)
        if not error_type and response.status_code >= 400:
            error_type = str(response.status_code)
    if error_type:
        span.set_attribute("error.type", error_type)
        span.set_status(trace.StatusCode.ERROR)
