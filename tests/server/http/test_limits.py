"""Limits: calls, listen streams, requests to Devin, size and duration of requests."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from devin_mcp.server.http.limits import MAX_STREAMS_PER_CALLER
from tests.conftest import settings_for
from tests.e2e.processes import start_http_process
from tests.http_client import ACCEPT, INITIALIZE, connect_over_http, start_http_server
from tests.server.http.raw_requests import REQUEST_HEAD, exchange_bytes
from tests.upstream import Exchange, Upstream, answer, delay_reply

FIRST_CALLER = {"X-Devin-Api-Key": "apk_user_one_1111"}
SECOND_CALLER = {"X-Devin-Api-Key": "apk_user_two_2222"}


async def test_calls_above_the_limit_of_a_caller_get_429(upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", "/v1/playbooks", delay_reply(gate), delay_reply(gate))
    async with (
        start_http_server(settings_for(upstream, auth="caller-key", max_calls_per_caller=2)) as url,
        httpx.AsyncClient(timeout=20) as http,
    ):
        async with (
            connect_over_http(url, FIRST_CALLER) as client,
            connect_over_http(url, SECOND_CALLER) as other_client,
            anyio.create_task_group() as group,
        ):
            await client.ok("list_secrets")  # the first request of a key goes alone
            for _ in range(2):
                group.start_soon(lambda: client.ok("list_playbooks"))
            await upstream.wait_for("GET", "/v1/playbooks", 2)
            rejected = await http.post(url, json=INITIALIZE, headers=ACCEPT | FIRST_CALLER)
            await other_client.ok("list_playbooks")
            gate.set()
        accepted = await http.post(url, json=INITIALIZE, headers=ACCEPT | FIRST_CALLER)
    assert (rejected.status_code, rejected.headers["retry-after"]) == (429, "1")
    assert "2 calls in flight" in rejected.text
    assert accepted.status_code == 200


async def test_listen_streams_have_a_limit_of_their_own(upstream: Upstream) -> None:
    settings = settings_for(upstream, auth="caller-key", max_calls_per_caller=1)
    async with (
        start_http_server(settings) as url,
        connect_over_http(url, FIRST_CALLER) as client,
        anyio.create_task_group() as group,
    ):

        async def listen(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with client.sdk.listen(resources_list_changed=True):
                task_status.started()
                await anyio.sleep_forever()

        with anyio.fail_after(10):
            for _ in range(MAX_STREAMS_PER_CALLER):
                await group.start(listen)
        await client.ok("list_playbooks")
        with pytest.raises(Exception, match="8 listen streams open"):
            async with client.sdk.listen(resources_list_changed=True):
                pass
        group.cancel_scope.cancel()


async def test_requests_above_the_upstream_limit_wait(upstream: Upstream) -> None:
    active = max_active = 0
    full = asyncio.Event()

    async def count_active(exchange: Exchange) -> None:
        nonlocal active, max_active
        active += 1
        max_active = max(max_active, active)
        if active == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0.02)  # a fourth would come now
        active -= 1
        await answer(200, [])(exchange)

    upstream.fail("GET", "/v1/secrets", *[count_active] * 20)
    settings = settings_for(upstream, max_upstream_requests=3, max_calls_per_caller=50)
    async with (
        start_http_server(settings) as url,
        connect_over_http(url) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(20):
            group.start_soon(lambda: client.ok("list_secrets"))
    assert (max_active, upstream.count("GET", "/v1/secrets")) == (3, 20)


async def test_slow_body_gets_408_and_its_connection_is_closed(upstream: Upstream) -> None:
    head = REQUEST_HEAD + b"content-length: 100\r\n\r\n"
    async with start_http_server(settings_for(upstream), body_timeout=0.3) as url:
        response = await exchange_bytes(url, head, b"{", b'"', pause=0.2)
    assert response.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in response.lower()


async def test_large_heads_and_bodies_are_rejected_and_the_server_goes_on() -> None:
    arguments = {"title": "t", "body": "x" * 5_000_000}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "devin_create_playbook", "arguments": arguments},
    }
    body = json.dumps(call).encode()
    large_header = b"x-flood: " + b"a" * 70_000 + b"\r\n\r\n"
    many_headers = b"".join(b"x-%d: a\r\n" % number for number in range(9000)) + b"\r\n"
    headers = ACCEPT | {"content-type": "application/json"}

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async with (
        start_http_process("--sandbox") as (server, url),
        httpx.AsyncClient(timeout=20) as http,
    ):
        to_large_header = await exchange_bytes(url, REQUEST_HEAD + large_header)
        to_many_headers = await exchange_bytes(url, REQUEST_HEAD + many_headers)
        to_body = await http.post(url, content=body, headers=headers)
        to_chunked_body = await http.post(url, content=chunks(), headers=headers)
        afterwards = await http.post(url, json=INITIALIZE, headers=ACCEPT)
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait_for_exit(close=False) == 0
    assert to_large_header.startswith(b"HTTP/1.1 4")
    assert to_many_headers.startswith(b"HTTP/1.1 4")
    assert (to_body.status_code, to_chunked_body.status_code) == (413, 413)
    assert afterwards.status_code == 200
    assert b"Traceback" not in server.stderr
