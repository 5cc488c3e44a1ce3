"""Access to the process environment; no other module reads or changes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def process_environment() -> Mapping[str, str]:
    return os.environ


def environment_value(name: str) -> str | None:
    """The current value of a variable that is no setting."""
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


def share_metrics(directory: Path | None) -> None:
    """Make this process and its children keep their metrics in files below a directory; with None,
    in memory, whatever another program has set.

    prometheus_client reads the directory from the environment when it is imported.
    """
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        forget_variable(name)
    if directory is not None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


def network_variables() -> tuple[str, ...]:
    """The names of those that are set and say how this program and uv reach the network: which
    certificates they trust, which proxies they use, and where uv finds packages.
    """
    certificates = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")
    indexes = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
    proxies = map(proxy_variable, ("http", "https", "all", "no"))
    return tuple(name for name in (*certificates, *indexes, *proxies) if os.environ.get(name))


def proxy_variable(kind: str) -> str:
    """The name of the variable that holds this proxy: `http`, `https`, `all` or `no`; else empty.

    Lower case wins, as in `urllib.request.getproxies`.
    """
    names = [name for name, value in os.environ.items() if value]
    return max((name for name in names if name.lower() == f"{kind}_proxy"), default="")


def forget_variable(name: str) -> None:
    """Remove a variable that a library would read, for this process and its children."""
    os.environ.pop(name, None)


def trace_exporters() -> dict[str, str]:
    """The trace exporters that OpenTelemetry's standard variables name -> the variable that does.

    Empty unless OTEL_TRACES_EXPORTER or an OTLP endpoint for traces is set, and if
    OTEL_SDK_DISABLED is true. An endpoint for metrics or logs only asks for no traces.
    """
    endpoint = _first_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    variable = _first_set("OTEL_TRACES_EXPORTER") or endpoint
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not variable or is_disabled:
        return {}
    names = "otlp" if variable == endpoint else os.environ[variable]
    exporters = {name.strip(): variable for name in names.split(",")}
    if "otlp" in exporters:
        protocol = _first_set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        value = os.environ.get(protocol, "http/protobuf").strip()
        transport = "http" if value == "http/protobuf" else value
        exporters[f"otlp_proto_{transport}"] = protocol or exporters["otlp"]
        del exporters["otlp"]
    return {name: variable for name, variable in exporters.items() if name not in {"", "none"}}


def _first_set(*names: str) -> str:
    """The first of the variables that is set and not blank; else an empty string."""
    return next((name for name in names if os.environ.get(name, "").strip()), "")
