"""The contents of manifests/grafana/devin-mcp.json: the panels, as the JSON model of Grafana 11."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MEMORY_LIMIT_BYTES = 704 * 1024 * 1024
"""Of a process: docs/operating.md, Limits."""
JOB = 'job=~"$job", instance=~"$instance"'
WAITING = "wait_for_sessions|delegate_task|send_message"
"""Operations whose calls may wait for Devin, up to 50 s."""
COLUMNS = 24
"""Of Grafana's grid."""
HEIGHT = 8


@dataclass(frozen=True)
class Panel:
    """Time series, or with `is_number` the latest value."""

    title: str
    description: str
    queries: dict[str, str]
    """Legend -> PromQL."""
    unit: str = "short"
    width: int = 8
    is_number: bool = False


def selected(metric: str, labels: str = "") -> str:
    return f"{metric}{{{JOB}, {labels}}}" if labels else f"{metric}{{{JOB}}}"


def total(series: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) ({series})" if by else f"sum({series})"


def rate(metric: str, *by: str, labels: str = "") -> str:
    return total(f"rate({selected(metric, labels)}[$__rate_interval])", *by)


def increase(metric: str, *by: str) -> str:
    """In the selected time."""
    return total(f"increase({selected(metric)}[$__range])", *by)


def latest(metric: str, *by: str) -> str:
    return total(selected(metric), *by)


def quantile(share: float, metric: str, *by: str, labels: str = "") -> str:
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', 'le', *by, labels=labels)})"


CALLS, DURATION = "devin_mcp_calls_total", "devin_mcp_call_duration_seconds"
ATTEMPTS, ATTEMPT = (
    "devin_mcp_upstream_attempts_total",
    "devin_mcp_upstream_attempt_duration_seconds",
)
QUICK, SLOW = f'operation!~"{WAITING}"', f'operation=~"{WAITING}"'

ROWS: dict[str, list[Panel]] = {
    "Money": [
        Panel(
            "Sessions started",
            "In the selected time. Each spends ACUs. Sessions of schedules are not counted.",
            {"": increase("devin_mcp_sessions_started_total")},
            width=4,
            is_number=True,
        ),
        Panel(
            "Refused because of cost",
            "In the selected time: by --max-sessions and --max-acu (cap_reached), or by Devin.",
            {"{{error}}": increase("devin_mcp_spending_refused_total", "error")},
            width=8,
            is_number=True,
        ),
        Panel(
            "Sessions started per hour",
            "Averaged over the interval of the graph.",
            {"{{instance}}": f"3600 * {rate('devin_mcp_sessions_started_total', 'instance')}"},
            width=12,
        ),
    ],
    "Calls": [
        Panel(
            "Calls by outcome",
            "docs/logging.md explains the outcomes.",
            {"{{outcome}}": rate(CALLS, "outcome", labels='method!="watch"')},
            "reqps",
        ),
        Panel(
            "Calls with an error",
            "By the kind of error.",
            {"{{error}}": rate(CALLS, "error", labels='error!=""')},
            "reqps",
        ),
        Panel(
            "Rejected HTTP requests",
            "Before they became calls: wrong keys, hosts and sizes, and limits that were reached.",
            {"{{reason}}": rate("devin_mcp_http_rejected_total", "reason")},
            "reqps",
        ),
        Panel(
            "Duration of calls",
            "Without those that may wait for Devin.",
            {
                "p50": quantile(0.5, DURATION, labels=QUICK),
                "p95": quantile(0.95, DURATION, labels=QUICK),
            },
            "s",
        ),
        Panel(
            "p95 by operation",
            "The slowest ten.",
            {"{{operation}}": f"topk(10, {quantile(0.95, DURATION, 'operation', labels=QUICK)})"},
            "s",
        ),
        Panel(
            "Calls in flight",
            "With method subscriptions/listen: open streams.",
            {"{{method}}": latest("devin_mcp_calls_in_flight", "method")},
        ),
    ],
    "Waits": [
        Panel(
            "Sessions polled",
            "For waiting calls and subscriptions.",
            {"{{instance}}": latest("devin_mcp_pollers", "instance")},
            width=12,
        ),
        Panel(
            "Median duration of calls that may wait",
            "A wait ends with news of Devin, or after 50 s with a cursor.",
            {"{{operation}}": quantile(0.5, DURATION, "operation", labels=SLOW)},
            "s",
            width=12,
        ),
    ],
    "Devin": [
        Panel(
            "Requests to Devin by outcome",
            "HTTP status, or the kind of error if there was no answer.",
            {"{{outcome}}": rate(ATTEMPTS, "outcome")},
            "reqps",
        ),
        Panel(
            "p95 by route",
            "Duration of one request to Devin.",
            {"{{route}}": quantile(0.95, ATTEMPT, "route")},
            "s",
        ),
        Panel(
            "Processes whose last request to Devin failed",
            "On Devin's side, or without an answer.",
            {"{{instance}}": latest("devin_mcp_upstream_failing", "instance")},
        ),
    ],
    "Process": [
        Panel(
            "Memory",
            "Resident, and the limit of a process. With --workers, take it from the container.",
            {
                "{{instance}}": latest("process_resident_memory_bytes", "instance"),
                "limit": f"vector({MEMORY_LIMIT_BYTES})",
            },
            "bytes",
        ),
        Panel(
            "Processor time",
            "Seconds a second.",
            {"{{instance}}": rate("process_cpu_seconds_total", "instance")},
        ),
        Panel(
            "Open files and internal errors",
            "An internal error is a line `crash` in the log.",
            {
                "files of {{instance}}": latest("process_open_fds", "instance"),
                "internal errors": increase("devin_mcp_crashes_total"),
            },
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """The JSON model, to be imported in Grafana."""
    return {
        "uid": "devin-mcp",
        "title": "devin-mcp",
        "tags": ["devin-mcp"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                _variable("job", "label_values(devin_mcp_crashes_total, job)"),
                _variable(
                    "instance", 'label_values(devin_mcp_crashes_total{job=~"$job"}, instance)'
                ),
            ]
        },
        "panels": list(_panels()),
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
    }


SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _panels() -> Iterator[dict[str, Any]]:
    y = 0
    for row, panels in ROWS.items():
        position = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        yield {"type": "row", "title": row, "collapsed": False, "panels": [], "gridPos": position}
        x, y = 0, y + 1
        for panel in panels:
            if x == COLUMNS:
                x, y = 0, y + HEIGHT
            yield _panel(panel, {"h": HEIGHT, "w": panel.width, "x": x, "y": y})
            x += panel.width
        y += HEIGHT


def _panel(panel: Panel, position: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend,
            "instant": panel.is_number,
            "range": not panel.is_number,
        }
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "type": "stat" if panel.is_number else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }
