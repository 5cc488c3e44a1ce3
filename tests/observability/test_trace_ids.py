"""The log names the trace that a client has sent, without any tracer provider."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect, Logs

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("meta", "trace_ids"),
    [
        ({"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}, {TRACE_ID}),
        ({"traceparent": "none of its kind"}, {None}),
        ({"baggage": 1}, {None}),
        ({"traceparent": [], "tracestate": {}}, {None}),
        ({}, {None}),
    ],
)
async def test_lines_of_a_call_have_the_trace_id_of_the_client(
    connect: Connect, logs: Logs, meta: Any, trace_ids: set[str | None]
) -> None:
    async with connect() as client:
        await client.sdk.call_tool("devin_list_playbooks", {}, meta=meta)
    lines = [line for line in logs() if line["event"] in {"mcp_call", "api_request"}]
    assert len(lines) == 2
    assert {line.get("trace_id") for line in lines} == trace_ids
