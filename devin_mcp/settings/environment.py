"""Access to the process environment; no other module reads or changes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def process_environment() -> Mapping[str, str]:
    return os.environ


def environment_value(name: str) -> str | None:
    """The current value of a variable that --allow-secret-env permits."""
    return os.environ.get(name)


def default_files_root() -> tuple[Path, ...]:
    """The working directory; empty if that would allow too much.

    That is the case if the home directory is in it, and on Windows, where desktop programs start
    their servers in a directory of the system.
    """
    try:
        directory = Path.cwd().resolve()
    except OSError:  # it was deleted
        return ()
    try:
        home = Path.home().resolve()
    except (OSError, RuntimeError):  # the user has none, as in containers
        home = None
    system_root = os.environ.get("SYSTEMROOT")
    windows = Path(system_root).resolve() if system_root else None
    allows_too_much = (
        directory == Path(directory.anchor)
        or (home is not None and home.is_relative_to(directory))
        or (windows is not None and directory.is_relative_to(windows))
    )
    return () if allows_too_much else (directory,)


def uv_path() -> str:
    """The path of the uv that started this process, which uv passes on; else an empty string."""
    return os.environ.get("UV", "")


def environment_without_settings() -> dict[str, str]:
    """The environment without DEVIN_ variables, above all without the key; for the demo."""
    return {
        name: value for name, value in os.environ.items() if not name.upper().startswith("DEVIN_")
    }


def share_metrics(directory: Path) -> None:
    """Make this process and its children keep their metrics in files below a directory.

    prometheus_client reads the directory from the environment when it is imported.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


def trace_exporters() -> list[str]:
    """The names of the trace exporters that OpenTelemetry's standard variables ask for.

    Empty unless OTEL_TRACES_EXPORTER or an OTLP endpoint is set, and if OTEL_SDK_DISABLED is true.
    """
    has_endpoint = any(
        name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("ENDPOINT") for name in os.environ
    )
    names = os.environ.get("OTEL_TRACES_EXPORTER", "otlp" if has_endpoint else "none")
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    otlp = f"otlp_proto_{protocol.split('/')[0]}"
    exporters = [otlp if name.strip() == "otlp" else name.strip() for name in names.split(",")]
    return [exporter for exporter in exporters if exporter not in {"", "none"}]
