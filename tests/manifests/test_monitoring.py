"""Alerts and dashboard: promtool accepts the rules and their unit tests pass; a real Prometheus
that scrapes a real server has an answer for every query.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import yaml

from devin_mcp.observability.log import observers
from devin_mcp.observability.metrics import Metrics
from tests.clock import HANG_SECONDS
from tests.e2e.cluster import free_port, started, system_command, wait_until_reachable
from tests.e2e.processes import start_http_process
from tests.http_client import connect_over_http
from tests.manifests.dashboard import MEMORY_LIMIT_BYTES, ROWS, dashboard
from tests.manifests.published import MANIFESTS
from tests.manifests.test_kubernetes import CONTAINER
from tests.server.http.metrics_client import metrics_address

PROMETHEUS = MANIFESTS / "prometheus"
UNIT_TESTS = Path(__file__).with_name("alerts_test.yml")
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
PANELS = {panel.title: panel for panels in ROWS.values() for panel in panels}


def promtool(*arguments: str, directory: Path = PROMETHEUS) -> str:
    """What it says if it is content."""
    command = [system_command("promtool"), *arguments]
    process = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_promtool_accepts_the_configuration_and_the_alerts() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "config", "prometheus.yml")


def test_unit_tests_of_the_alerts_pass(tmp_path: Path) -> None:
    for file in (PROMETHEUS / "alerts.yml", UNIT_TESTS):
        shutil.copy(file, tmp_path)
    assert "SUCCESS" in promtool("test", "rules", UNIT_TESTS.name, directory=tmp_path)


def test_every_alert_is_tested_when_it_fires_and_when_not() -> None:
    tested = {
        (test["alertname"], bool(test["exp_alerts"]))
        for group in yaml.safe_load(UNIT_TESTS.read_text())["tests"]
        for test in group["alert_rule_test"]
    }
    assert tested == {(name, fires) for name in ALERTS for fires in (True, False)}


def test_queries_name_metrics_that_exist() -> None:
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    observers.remove(Metrics(registry))
    names = set()
    for family in registry.collect():
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {f"{family.name}{ending}" for ending in endings.get(family.type, [""])}
    queries = [rule["expr"] for rule in ALERTS.values()]
    queries += [query for panel in PANELS.values() for query in panel.queries.values()]
    used = set(re.findall(r"devin_mcp_\w+", " ".join(queries)))
    assert used <= names
    assert len(used) == len({re.sub("_(bucket|sum|count)$", "", name) for name in names}), (
        f"of each metric something is shown or watched: {names - used}"
    )


@asynccontextmanager
async def start_prometheus(directory: Path, target: str) -> AsyncIterator[str]:
    """The real Prometheus with the published configuration, faster and of `target`."""
    port = free_port()
    text = (PROMETHEUS / "prometheus.yml").read_text()
    for old, new in {
        "scrape_interval: 15s": "scrape_interval: 200ms",
        "evaluation_interval: 15s": "evaluation_interval: 200ms",
        "[127.0.0.1:9101, 127.0.0.1:9102]": f"[{target}]",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (directory / "prometheus.yml").write_text(text)
    shutil.copy(PROMETHEUS / "alerts.yml", directory)
    async with started(
        system_command("prometheus"),
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ):
        await wait_until_reachable(port)
        yield f"http://127.0.0.1:{port}/api/v1"


async def query_until_answered(web: httpx.AsyncClient, expression: str) -> list[dict[str, Any]]:
    """The series of an instant query, once there is one."""
    variables = {"$__rate_interval": "10s", "$__range": "1m", "$job": ".+", "$instance": ".+"}
    for name, value in variables.items():
        expression = expression.replace(name, value)
    with anyio.fail_after(HANG_SECONDS):
        while True:
            answer = (await web.get("/query", params={"query": expression})).json()
            assert answer["status"] == "success", answer
            if series := answer["data"]["result"]:
                return list(series)
            await anyio.sleep(0.2)


async def test_prometheus_has_an_answer_for_every_panel(tmp_path: Path) -> None:
    async with (
        start_http_process("--sandbox", "--metrics-port", "0", "--max-sessions", "1") as (
            server,
            url,
        ),
        connect_over_http(url) as client,
    ):
        target = httpx.URL(metrics_address(server, url)).netloc.decode()
        session = await client.ok("create_session", prompt="sandbox:quick")
        await client.error("create_session", prompt="One too many")
        await client.ok("wait_for_sessions", session_ids=[session["session_id"]], max_wait_s=1)
        async with start_prometheus(tmp_path, target) as api, httpx.AsyncClient() as http:
            await http.post(url, headers={"host": "evil.example"})
            async with httpx.AsyncClient(base_url=api) as web:
                for panel in PANELS.values():
                    for query in panel.queries.values():
                        assert await query_until_answered(web, query), panel.title
                (refusals,) = await query_until_answered(
                    web, 'devin_mcp_spending_refused_total{error="cap_reached"}'
                )
                alerts = (await web.get("/rules")).json()["data"]["groups"][0]["rules"]
    assert refusals["value"][1] == "1"
    assert {alert["name"]: alert["health"] for alert in alerts} == dict.fromkeys(ALERTS, "ok")


def test_panels_do_not_overlap_and_fill_the_rows() -> None:
    cells = [
        (x, y)
        for panel in dashboard()["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)) == 24 * (max(y for _, y in cells) + 1)


def test_limit_of_memory_is_that_of_the_pod() -> None:
    limit = int(CONTAINER["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert limit * 1024 * 1024 == MEMORY_LIMIT_BYTES
    assert f"0.9 * {limit} * 1024 * 1024" in ALERTS["DevinMcpMemory"]["expr"]
