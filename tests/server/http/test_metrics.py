"""--metrics-port: calls, attempts and pollers are counted; no label holds a name or an id."""

from __future__ import annotations

import asyncio
import re

import anyio
import httpx

from tests.e2e.processes import start_http_process
from tests.http_client import connect_over_http
from tests.server.http.metrics_client import metrics_address, read_metrics
from tests.upstream import KEY, Upstream, answer, delay_reply


async def test_metrics_count_calls_attempts_and_pollers_without_ids(upstream: Upstream) -> None:
    environment = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with (
        start_http_process("--metrics-port", "0", **environment) as (server, url),
        connect_over_http(url) as client,
    ):
        address = metrics_address(server, url)
        gate = asyncio.Event()
        session_id = (await client.ok("create_session", prompt="sandbox:forever"))["session_id"]
        upstream.fail("GET", "/v1/secrets", answer(503), delay_reply(gate))
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.ok("list_secrets"))
            group.start_soon(
                lambda: client.ok("wait_for_sessions", session_ids=[session_id], max_wait_s=1)
            )
            await upstream.wait_for("GET", "/v1/secrets", 2)
            await upstream.wait_for("GET", "/v1/sessions/.*")
            during = await read_metrics(address)
            gate.set()
        await client.error("get_playbook", playbook_id="nope")
        async with httpx.AsyncClient() as http:
            await http.post(url, headers={"host": "evil.example"})
        after = await read_metrics(address)
    calls, attempts = "devin_mcp_calls_total", "devin_mcp_upstream_attempts_total"
    in_flight = 'devin_mcp_calls_in_flight{method="tools/call"}'
    assert (during[in_flight], during["devin_mcp_pollers"]) == (2, 1)
    assert (after[in_flight], after["devin_mcp_pollers"]) == (0, 0)
    labels = 'method="tools/call",operation'
    assert after[f'{calls}{{error="",{labels}="list_secrets",outcome="ok"}}'] == 1
    assert after[f'{calls}{{error="not_found",{labels}="get_playbook",outcome="tool_error"}}'] == 1
    assert after[f'{attempts}{{outcome="503",route="GET /v1/secrets"}}'] == 1
    assert after[f'{attempts}{{outcome="200",route="GET /v1/secrets"}}'] == 1
    assert after[f'devin_mcp_call_duration_seconds_count{{{labels}="create_session"}}'] == 1
    assert after['devin_mcp_http_rejected_total{reason="host"}'] == 1
    assert after["devin_mcp_upstream_failing"] == 0
    assert "process_open_fds" in after
    labels = " ".join(name for name in after if name.startswith("devin_mcp"))
    assert not re.search(r"devin-[0-9a-f]{6}|apk_|nope|caller", labels)


async def test_metrics_count_started_sessions_and_refusals_of_caps(upstream: Upstream) -> None:
    environment = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    caps = ("--max-sessions", "1", "--max-acu", "5")
    async with (
        start_http_process("--metrics-port", "0", *caps, **environment) as (server, url),
        connect_over_http(url) as client,
    ):
        await client.error("create_session", prompt="Too expensive", max_acu_limit=6)
        await client.ok("delegate_task", prompt="The first")
        refusal = await client.error("delegate_task", prompt="One too many")
        assert "1 session was started" in refusal
        metrics = await read_metrics(metrics_address(server, url))
    assert metrics["devin_mcp_sessions_started_total"] == 1
    refused = "devin_mcp_spending_refused_total"
    assert {name: count for name, count in metrics.items() if name.startswith(refused)} == {
        f'{refused}{{error="cap_reached"}}': 2,
        f'{refused}{{error="out_of_quota"}}': 0,
        f'{refused}{{error="too_many_sessions"}}': 0,
    }
    assert metrics["devin_mcp_crashes_total"] == 0


async def test_metrics_are_not_served_on_the_port_of_the_tools() -> None:
    async with start_http_process("--sandbox") as (server, url), httpx.AsyncClient() as http:
        assert (await http.get(url.replace("/mcp", "/metrics"))).status_code == 404
        assert b'"metrics"' not in server.stderr
