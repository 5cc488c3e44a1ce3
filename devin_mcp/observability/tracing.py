"""Configures OpenTelemetry tracing, if its standard variables ask for it.

The MCP SDK creates a span for each MCP request, and api/ one for each request to Devin. Exporting
them needs the extra `otel`. The variables are often those of another program, so whatever is wrong
with them is logged, and the server starts without traces.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from devin_mcp.observability.log import event
from devin_mcp.settings.environment import (
    environment_value,
    forget_variable,
    trace_exporters,
)

SERVICE_NAME = "devin-mcp"
FLUSH_TIMEOUT_MS = 2000
CONSOLE = "console"


def _find_context() -> None:
    """As the import of opentelemetry.context does, which prints a traceback instead of raising."""
    name = environment_value("OTEL_PYTHON_CONTEXT")
    if name is not None:
        entry_points(group="opentelemetry_context")[name]


_READ_BY_THE_API: dict[str, Callable[[], object]] = {
    "OTEL_PYTHON_CONTEXT": _find_context,
    "OTEL_PROPAGATORS": lambda: import_module("opentelemetry.propagate"),
    "OTEL_PYTHON_TRACER_PROVIDER": lambda: _trace().get_tracer_provider(),
}
"""Variables that name a part of OpenTelemetry -> what raises if the part is not installed.

The context comes first, because the others import it. The SDK of MCP runs all of them when it is
imported.
"""


def check_variables() -> None:
    """Remove variables that would make an import fail; to be called before the SDK is imported."""
    for variable, load in _READ_BY_THE_API.items():
        try:
            load()
        except Exception as problem:  # noqa: BLE001 - named in the log
            forget_variable(variable)
            event(
                "variable_ignored",
                level="warning",
                variable=variable,
                why="it names something that is not installed",
                error=type(problem).__name__,
            )


def configure(*, stdio: bool) -> None:
    """Install a tracer provider. On stdio, standard output is for the protocol only."""
    exporters = trace_exporters()
    if not exporters:
        return
    if find_spec("opentelemetry.sdk") is None:
        why = "the environment asks for traces, which need the extra otel: devin-mcp[otel]"
        event("no_traces", level="warning", why=why)
        return
    try:
        provider = _provider(exporters, stdio=stdio)
        if provider is not None:
            _trace().set_tracer_provider(provider)
    except Exception as problem:  # noqa: BLE001 - named in the log
        why = "a variable of OpenTelemetry (OTEL_...) has a value that cannot be used"
        event("no_traces", level="warning", why=why, error=type(problem).__name__)


def flush() -> None:
    """Export pending spans; needed before `os._exit`, which runs no exit handlers."""
    provider: Any = _trace().get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush(FLUSH_TIMEOUT_MS)


def _trace() -> Any:
    """The module opentelemetry.trace, which cannot be imported before its variables are checked."""
    return import_module("opentelemetry.trace")


def _provider(exporters: dict[str, str], *, stdio: bool) -> Any | None:
    """None if no exporter is installed: spans cost time even if nobody reads them."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    loaded = [
        _console_exporter() if stdio and name == CONSOLE else _exporter(name, variable)
        for name, variable in exporters.items()
    ]
    if not any(loaded):
        return None
    resource = Resource.create({"service.name": SERVICE_NAME}).merge(
        OTELResourceDetector().detect()
    )
    provider = TracerProvider(resource=resource)
    for exporter in filter(None, loaded):
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(name: str, variable: str) -> Any | None:
    """Load an exporter by its entry point, as OpenTelemetry's own configuration does."""
    exporters = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not exporters:
        why = f"the exporter {name} is not installed"
        event("no_traces", level="warning", variable=variable, why=why)
        return None
    return exporters[0].load()()


def _console_exporter() -> Any:
    """Spans as lines of JSON between those of the log."""
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    def to_line(span: Any) -> str:
        return f"{span.to_json(indent=None)}{os.linesep}"

    return ConsoleSpanExporter(out=sys.stderr, formatter=to_line)
