"""Prometheus metrics, counted from log events.

No label is an id or a name of a person. The values of the labels `operation` and `route` come from
the catalog, and those of `error` are kinds of errors.py and names of exceptions, so their number is
bounded.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devin_mcp.errors import CapReached, OutOfQuota, TooManySessions
from devin_mcp.observability.log import observers
from devin_mcp.settings import SettingsError
from devin_mcp.settings.environment import share_metrics

BUCKETS_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 50.0)
"""The last bucket is the deadline of a call; only a question to the user makes one take longer."""

SPENDING_ERRORS = tuple(error.kind for error in (CapReached, OutOfQuota, TooManySessions))
"""Kinds of errors that refuse what would spend ACUs."""


class Metrics:
    """Observer of log events that counts them in a registry of prometheus_client."""

    def __init__(self, registry: Any) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        def gauge(name: str, text: str, *labels: str) -> Any:
            return Gauge(
                f"devin_mcp_{name}", text, labels, registry=registry, multiprocess_mode="livesum"
            )

        def histogram(name: str, text: str, *labels: str) -> Any:
            return Histogram(
                f"devin_mcp_{name}", text, labels, registry=registry, buckets=BUCKETS_SECONDS
            )

        def counter(name: str, text: str, *labels: str) -> Any:
            return Counter(f"devin_mcp_{name}", text, labels, registry=registry)

        self._calls = counter(
            "calls_total", "Completed calls.", "method", "operation", "outcome", "error"
        )
        self._duration = histogram(
            "call_duration_seconds", "Duration of calls.", "method", "operation"
        )
        self._in_flight = gauge("calls_in_flight", "Calls in flight.", "method")
        self._pollers = gauge("pollers", "Sessions polled for waiting calls and subscriptions.")
        self._crashes = counter("crashes_total", "Internal errors of this server.")
        self._sessions_started = counter("sessions_started_total", "Sessions started.")
        self._spending_refused = counter(
            "spending_refused_total",
            "Calls refused by a cap of this server (cap_reached), or by Devin's quota or limit.",
            "error",
        )
        for kind in SPENDING_ERRORS:  # from 0: else the first one is no increase
            self._spending_refused.labels(kind)
        self._attempts = counter(
            "upstream_attempts_total", "Requests to Devin.", "route", "outcome"
        )
        self._attempt_duration = histogram(
            "upstream_attempt_duration_seconds", "Duration of requests to Devin.", "route"
        )
        self._failing = gauge(
            "upstream_failing",
            "1 in each process whose last request to Devin failed on Devin's side.",
        )
        self._http_rejected = counter(
            "http_rejected_total", "HTTP requests rejected before they became calls.", "reason"
        )
        observers.append(self)

    def __call__(self, name: str, facts: Mapping[str, Any]) -> None:
        match name:
            case "call_began":
                self._in_flight_gauge(facts["method"]).inc()
            case "mcp_call":
                self._in_flight_gauge(facts["method"]).dec()
                call = facts["method"], facts.get("operation", "")
                self._calls.labels(*call, facts["outcome"], facts.get("error", "")).inc()
                if facts["method"] not in {"watch", "subscriptions/listen"}:
                    self._duration.labels(*call).observe(facts["duration_ms"] / 1000)
                if facts.get("error") in SPENDING_ERRORS:
                    self._spending_refused.labels(facts["error"]).inc()
            case "crash":
                self._crashes.inc()
            case "session_started":
                self._sessions_started.inc()
            case "api_request":
                failed = "error" in facts or facts["status"] >= 500
                self._failing.set(1 if failed else 0)
                self._attempts.labels(
                    facts["route"], facts.get("error") or str(facts["status"])
                ).inc()
                self._attempt_duration.labels(facts["route"]).observe(facts["duration_ms"] / 1000)
            case "http_rejected":
                self._http_rejected.labels(facts["reason"]).inc()

    def _in_flight_gauge(self, method: str) -> Any:
        return self._pollers if method == "watch" else self._in_flight.labels(method)


@contextmanager
def serve_metrics(host: str, port: int, *, shared: bool) -> Iterator[str]:
    """Serve /metrics on its own port, in a thread. Yields the URL.

    If `shared`, the metrics of all processes started from now on are added up, in files of a
    temporary directory. Raises SettingsError if the port cannot be used.
    """
    directory = Path(tempfile.mkdtemp(prefix="devin-mcp-metrics-")) if shared else None
    share_metrics(directory)
    from prometheus_client import (
        CollectorRegistry,
        PlatformCollector,
        ProcessCollector,
        start_http_server,
    )
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    if directory is not None:
        # prometheus_client has no types here.
        MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    else:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Metrics(registry)
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as problem:
        raise SettingsError(
            f"--metrics-port {port} cannot be used on {host}: {problem.strerror}"
        ) from None
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


def count_together() -> None:
    """Start counting in a worker process, whose metrics are added to those of the others."""
    from prometheus_client import CollectorRegistry

    Metrics(CollectorRegistry())


def forget(process_id: int) -> None:
    """Remove the gauges of a process that has exited, such as its calls in flight."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(process_id)  # type: ignore[no-untyped-call]  # has no types
