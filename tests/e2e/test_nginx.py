"""The proxy of the documentation is a real nginx: nothing is lost, refused by a web page or sent
twice.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from tests.conftest import eventually, settings_for
from tests.e2e.cluster import free_port
from tests.e2e.processes import Process, start_process
from tests.http_client import INITIALIZE, start_http_server
from tests.nginx import Proxy, start_nginx
from tests.systemd import UNIT
from tests.upstream import KEY, Upstream

CALLER = {"X-Devin-Api-Key": KEY}
JSON_HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
}
MIB = 1024 * 1024
CALLERS = 6


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def message_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/json"
    return str(response.json()["error"]["message"])


async def test_calls_uploads_and_refusals_pass(upstream: Upstream, tmp_path: Path) -> None:
    body = json.dumps(INITIALIZE).encode()
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        start_nginx(tmp_path, [port_of(url)]) as proxy,
    ):
        async with proxy.connect(CALLER) as client:
            await client.ok("list_playbooks")
            content = "x" * 3_999_000
            attachment = await client.ok("upload_attachment", name="a.txt", content=content)
            assert attachment["bytes"] == len(content)
        without_key = await proxy.post(JSON_HEADERS, body)
        too_large = await proxy.post(JSON_HEADERS | CALLER, body + b" " * (4 * MIB))
        far_too_large = await proxy.post(JSON_HEADERS | CALLER, body + b" " * (6 * MIB))
        elsewhere = await proxy.get("/metrics")
        long_head = await proxy.post(JSON_HEADERS | {"x-padding": "x" * 20_000}, body)
    assert (without_key.status_code, too_large.status_code) == (403, 413)
    assert "X-Devin-Api-Key" in message_of(without_key)
    assert "4 MiB" in message_of(too_large).replace("4194304 bytes", "4 MiB")
    assert "this server takes 4 MiB" in message_of(far_too_large)
    assert elsewhere.status_code == 404
    assert "ends with /mcp" in message_of(elsewhere)
    assert "X-Devin-Api-Key" in message_of(long_head)


async def test_address_in_the_log_is_that_of_the_client(
    upstream: Upstream, tmp_path: Path, logs: Any
) -> None:
    headers = CALLER | {"X-Forwarded-For": "203.0.113.7"}
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        start_nginx(tmp_path, [port_of(url)]) as proxy,
        proxy.connect(headers) as client,
    ):
        await client.ok("list_playbooks")
    peers = {line["peer"] for line in logs() if line["event"] == "mcp_call"}
    assert peers == {"127.0.0.1"}, "what a client writes into the header does not count"


async def test_missing_replica_is_told_as_json(tmp_path: Path) -> None:
    async with start_nginx(tmp_path, [free_port()]) as proxy:
        response = await proxy.post(JSON_HEADERS | CALLER, json.dumps(INITIALIZE).encode())
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "No replica of this server answers now" in message_of(response)


async def test_metadata_of_oauth_is_found_on_both_paths(upstream: Upstream, tmp_path: Path) -> None:
    settings = settings_for(
        upstream,
        auth="oauth",
        oauth_issuer="https://issuer.invalid",
        public_url="https://mcp.example.com/mcp",
    )
    path = "/.well-known/oauth-protected-resource"
    async with (
        start_http_server(settings) as url,
        start_nginx(tmp_path, [port_of(url)]) as proxy,
    ):
        answers = [await proxy.get(path), await proxy.get(f"{path}/mcp")]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.json()["resource"] == "https://mcp.example.com/mcp"


async def test_stream_that_is_silent_for_too_long_is_closed(
    upstream: Upstream, tmp_path: Path
) -> None:
    """With two seconds in place of the hour."""
    hour = {"proxy_read_timeout 3600s": "proxy_read_timeout 2s"}
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        start_nginx(tmp_path, [port_of(url)], hour) as proxy,
        proxy.connect(CALLER) as client,
    ):
        with anyio.fail_after(20):
            async with client.sdk.listen(resource_subscriptions=["devin://playbooks"]) as events:
                assert events.honored.resource_subscriptions == ["devin://playbooks"]
                with pytest.raises(BaseException):  # noqa: B017, PT011 - of the SDK's own kind
                    async for _ in events:
                        pass
        await client.ok("list_playbooks")


async def start_replica(stack: AsyncExitStack, port: int, upstream: Upstream) -> Process:
    """As systemd does with the unit of manifests/systemd/ and a file with our own settings."""
    start, ready = UNIT.commands("ExecStart", port), UNIT.commands("ExecStartPost", port)
    own = {
        "DEVIN_MCP_PUBLIC_URL": "https://localhost/mcp",
        "DEVIN_MCP_MAX_SESSIONS": "10000",
        "DEVIN_BASE_URL": upstream.url,
    }
    replica = await stack.enter_async_context(start_process(*start[1:], **UNIT.environment | own))
    wait = await asyncio.create_subprocess_exec(*ready)
    assert await wait.wait() == 0
    return replica


async def test_rolling_restart_loses_no_call_and_sends_none_twice(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.sandbox.parallel = 100_000
    ports, done, is_over = [free_port(), free_port()], 0, asyncio.Event()

    def has_gone_on(since: int) -> bool:
        return done >= since + 20

    async def call_until_over(proxy: Proxy) -> None:
        nonlocal done
        async with proxy.connect(CALLER) as client:
            while not is_over.is_set():
                await client.ok("create_session", prompt="p")
                done += 1

    async with AsyncExitStack() as stack:
        replicas = [await start_replica(stack, port, upstream) for port in ports]
        proxy = await stack.enter_async_context(start_nginx(tmp_path, ports))
        calls = [asyncio.ensure_future(call_until_over(proxy)) for _ in range(CALLERS)]
        for replica, port in zip(replicas, ports, strict=True):
            await eventually(partial(has_gone_on, done))
            replica.process.terminate()
            assert await replica.wait_for_exit(close=False) == 0
            await start_replica(stack, port, upstream)
        is_over.set()
        await asyncio.gather(*calls)
    assert done > 40
    assert upstream.count("POST", "/v1/sessions") == done
