"""Prometheus metrics, made of the events that also make the log. No ids and no names of people are labels.

`operation` and `route` come from the catalogue, so there is a bounded number of each.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devin_mcp.observability.log import observers
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import share_metrics

SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 50.0)
"""Bounds of the histograms; a call that asks nobody takes no longer than the last."""


class Metrics:
    """An observer of events."""

    def __init__(self, registry: Any) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        def gauge(name: str, text: str, *labels: str) -> Any:
            return Gauge(
                f"devin_mcp_{name}", text, labels, registry=registry, multiprocess_mode="livesum"
            )

        def histogram(name: str, text: str, *labels: str) -> Any:
            return Histogram(f"devin_mcp_{name}", text, labels, registry=registry, buckets=SECONDS)

        def counter(name: str, text: str, *labels: str) -> Any:
            return Counter(f"devin_mcp_{name}", text, labels, registry=registry)

        self._calls = counter(
            "calls_total", "Calls at their end.", "method", "operation", "outcome"
        )
        self._took = histogram("call_duration_seconds", "How long calls took.", "method")
        self._in_flight = gauge("calls_in_flight", "Calls being served.", "method")
        self._pollers = gauge("pollers", "Sessions being looked at for those who wait or watch.")
        self._attempts = counter(
            "upstream_attempts_total", "Requests to Devin.", "route", "outcome"
        )
        self._attempt_took = histogram(
            "upstream_attempt_duration_seconds", "How long requests to Devin took.", "route"
        )
        self._trouble = gauge(
            "upstream_trouble",
            "1 in each process whose last request to Devin failed on Devin's side.",
        )
        self._http_rejected = counter(
            "http_rejected_total", "Requests refused before they were calls.", "reason"
        )
        observers.append(self)

    def __call__(self, name: str, facts: Mapping[str, Any]) -> None:
        match name:
            case "call_began":
                self._running(facts["method"]).inc()
            case "mcp_call":
                self._running(facts["method"]).dec()
                self._calls.labels(
                    facts["method"], facts.get("operation", ""), facts["outcome"]
                ).inc()
                if facts["method"] not in {"watch", "subscriptions/listen"}:
                    self._took.labels(facts["method"]).observe(facts["duration_ms"] / 1000)
            case "api_request":
                failed = "error" in facts or facts["status"] >= 500
                self._trouble.set(1 if failed else 0)
                self._attempts.labels(
                    facts["route"], facts.get("error") or str(facts["status"])
                ).inc()
                self._attempt_took.labels(facts["route"]).observe(facts["duration_ms"] / 1000)
            case "http_rejected":
                self._http_rejected.labels(facts["reason"]).inc()

    def _running(self, method: str) -> Any:
        return self._pollers if method == "watch" else self._in_flight.labels(method)


@contextmanager
def serve_metrics(host: str, port: int, *, shared: bool) -> Iterator[str]:
    """Serve /metrics on a port of their own, in a thread; yields the address.

    With `shared` the processes started from now on count together, in files of a temporary directory.
    """
    folder = Path(tempfile.mkdtemp(prefix="devin-mcp-metrics-")) if shared else None
    if folder is not None:
        share_metrics(folder)
    from prometheus_client import (
        CollectorRegistry,
        PlatformCollector,
        ProcessCollector,
        start_http_server,
    )
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    if folder is not None:
        MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # the library leaves it untyped
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
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def count_together() -> None:
    """In a process that shares its metrics with others."""
    from prometheus_client import CollectorRegistry

    Metrics(CollectorRegistry())


def forget(process_id: int) -> None:
    """What a process that is gone was doing."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(process_id)  # type: ignore[no-untyped-call]  # the library leaves it untyped
