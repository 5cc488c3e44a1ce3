"""OpenTelemetry: a call and its requests to Devin are one trace, whose id is in the log."""

from __future__ import annotations

import json
import re
import signal

from tests.e2e.processes import start_http_process
from tests.http_client import connect_over_http
from tests.upstream import KEY, Upstream, answer


async def test_call_and_its_requests_share_a_trace_that_the_log_names(upstream: Upstream) -> None:
    environment = {
        "DEVIN_API_KEY": KEY,
        "DEVIN_BASE_URL": upstream.url,
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_SERVICE_NAME": "devin-for-all",
    }
    upstream.fail("GET", "/v1/playbooks", answer(503))
    async with start_http_process(**environment) as (server, url):
        async with connect_over_http(url) as client:
            await client.ok("list_playbooks")
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait_for_exit(close=False) == 0
    spans = [
        json.loads(text)
        for text in re.findall(r"^\{.*?^\}", server.stdout.decode(), re.MULTILINE | re.DOTALL)
    ]
    call = next(span for span in spans if span["name"] == "tools/call devin_list_playbooks")
    requests = [span for span in spans if span["name"] == "GET /v1/playbooks"]
    assert [span["attributes"]["http.response.status_code"] for span in requests] == [503, 200]
    for span in requests:
        assert span["parent_id"] == call["context"]["span_id"]
        assert span["context"]["trace_id"] == call["context"]["trace_id"]
        assert span["resource"]["attributes"]["service.name"] == "devin-for-all"
    lines = [json.loads(line) for line in server.stderr.splitlines() if line.startswith(b"{")]
    trace_ids = {line["trace_id"] for line in lines if line["event"] in {"mcp_call", "api_request"}}
    assert trace_ids == {call["context"]["trace_id"].removeprefix("0x")}
    assert KEY not in server.stdout.decode()
