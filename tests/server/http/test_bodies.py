"""Bodies that would cost more than they seem to, and headers that do not fit them, are rejected."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from devin_mcp.server.http.limits import MAX_BODY_VALUES
from tests.conftest import settings_for
from tests.http_client import ACCEPT, INITIALIZE, start_http_server
from tests.upstream import KEY, Upstream, delay_reply


@pytest.mark.parametrize("count", [MAX_BODY_VALUES, 1_000_000])
async def test_request_with_too_many_values_is_rejected(upstream: Upstream, count: int) -> None:
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [' + b"1," * count + b"1]}"
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        httpx.AsyncClient() as http,
    ):
        headers = {**ACCEPT, "content-type": "application/json", "X-Devin-Api-Key": KEY}
        reply = await http.post(url, content=body, headers=headers, timeout=30)
    assert reply.status_code == 413
    assert f"{MAX_BODY_VALUES} JSON values" in reply.text


async def test_calls_cannot_pass_for_listen_streams(upstream: Upstream) -> None:
    """In older revisions nothing compares the header with the body."""
    gate = asyncio.Event()
    upstream.fail("GET", ".*", *[delay_reply(gate)] * 9)
    settings = settings_for(upstream, auth="caller-key", max_calls_per_caller=1)
    headers = {**ACCEPT, "mcp-method": "subscriptions/listen", "X-Devin-Api-Key": KEY}
    headers["mcp-protocol-version"] = "2025-11-25"
    params = {"name": "devin_list_sessions", "arguments": {}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    async with start_http_server(settings) as url, httpx.AsyncClient(timeout=30) as http:
        first = asyncio.ensure_future(http.post(url, json=call, headers=headers))
        await upstream.wait_for("GET", ".*")
        second = await http.post(url, json=call, headers=headers)
        gate.set()
        await first
    assert second.status_code == 429


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
async def test_body_in_another_encoding_is_rejected(upstream: Upstream, encoding: str) -> None:
    headers = {**ACCEPT, "content-type": "application/json", "X-Devin-Api-Key": KEY}
    body = json.dumps(INITIALIZE).encode(encoding)
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        httpx.AsyncClient() as http,
    ):
        reply = await http.post(url, content=body, headers=headers)
    assert reply.status_code == 400
    assert "JSON in UTF-8" in reply.text
