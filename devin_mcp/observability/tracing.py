"""OpenTelemetry, where the extra `otel` is installed and the usual environment says where traces go.

The SDK makes a span of every MCP request, api/ one of every request to Devin; here is only where they end up.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from devin_mcp.observability.log import event
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import trace_exporters

SERVICE = "devin-mcp"
FLUSH_MS = 2000


def configure() -> None:
    """Raises BadSetting for an exporter that is not installed."""
    names = trace_exporters()
    if not names:
        return
    if find_spec("opentelemetry.sdk") is None:
        event(
            "no_traces",
            level="warning",
            why="the environment asks for traces; they need the extra otel: devin-mcp[otel]",
        )
        return
    from opentelemetry import trace
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    for name in names:
        provider.add_span_processor(BatchSpanProcessor(_exporter(name)))
    trace.set_tracer_provider(provider)


def flush() -> None:
    """Before an end that runs no more code."""
    from opentelemetry import trace

    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush(FLUSH_MS)


def _exporter(name: str) -> Any:
    """As OpenTelemetry's own configuration finds it: by the name under which a package offers it."""
    found = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not found:
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER names an exporter that is not installed: {name!r}"
        )
    return found[0].load()()
