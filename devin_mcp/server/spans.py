"""The SDK's OpenTelemetry span of a request, left out where nobody could see it."""

from __future__ import annotations

from typing import Any

from mcp.server._otel import OpenTelemetryMiddleware
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from opentelemetry import propagate, trace


def leave_out_invisible_spans(middleware: list[ServerMiddleware[Any]]) -> None:
    """Put the SDK's own middleware, which makes the spans, inside of one that knows when."""
    for place, layer in enumerate(middleware):
        if isinstance(layer, OpenTelemetryMiddleware):
            middleware[place] = _VisibleSpans(layer)


class _VisibleSpans(ServerMiddleware[Any]):
    """A span is visible where the process has a tracer provider, or where the client sent its trace
    context: then the log lines name its trace. Elsewhere it would only cost 4 % of a call.
    """

    def __init__(self, span: ServerMiddleware[Any]) -> None:
        self._span = span
        self._fields = propagate.get_global_textmap().fields
        """Names under which a client sends its trace context, such as traceparent."""

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        is_proxy = isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        if is_proxy and self._fields.isdisjoint(ctx.meta or ()):
            return await call_next(ctx)
        return await self._span(ctx, call_next)
