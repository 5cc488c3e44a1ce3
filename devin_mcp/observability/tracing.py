"""Configures OpenTelemetry tracing, if its standard variables ask for it.

The MCP SDK creates a span for each MCP request, and api/ one for each request to Devin. Exporting
them needs the extra `otel`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from devin_mcp.observability.log import event
from devin_mcp.settings import SettingsError
from devin_mcp.settings.environment import trace_exporters

SERVICE_NAME = "devin-mcp"
FLUSH_TIMEOUT_MS = 2000


def configure() -> None:
    """Install a tracer provider. Raises SettingsError if an exporter is not installed."""
    names = trace_exporters()
    if not names:
        return
    if find_spec("opentelemetry.sdk") is None:
        event(
            "no_traces",
            level="warning",
            why="the environment asks for traces, which need the extra otel: devin-mcp[otel]",
        )
        return
    from opentelemetry import trace
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": SERVICE_NAME}).merge(
        OTELResourceDetector().detect()
    )
    provider = TracerProvider(resource=resource)
    for name in names:
        provider.add_span_processor(BatchSpanProcessor(_exporter(name)))
    trace.set_tracer_provider(provider)


def flush() -> None:
    """Export pending spans; needed before `os._exit`, which runs no exit handlers."""
    from opentelemetry import trace

    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush(FLUSH_TIMEOUT_MS)


def _exporter(name: str) -> Any:
    """Load an exporter by its entry point, as OpenTelemetry's own configuration does."""
    exporters = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not exporters:
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER names an exporter that is not installed: {name!r}"
        )
    return exporters[0].load()()
