"""A good citizen on the network: what one caller may ask at once, what is slow or large, what a cluster asks."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from typing import Any

import anyio
import httpx
import pytest

from devin_mcp.server.context import Shutdown
from devin_mcp.server.http.limits import MAX_STREAMS_PER_CALLER
from tests.conftest import Era, settings_for
from tests.e2e.processes import serving
from tests.http_client import ACCEPT, PING, deployed, visiting
from tests.upstream import KEY, Upstream, answer, slow

ONE, TWO = {"X-Devin-Api-Key": "apk_user_one_1111"}, {"X-Devin-Api-Key": "apk_user_two_2222"}


def call_of(tool: str, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": f"devin_{tool}", "arguments": arguments},
    }


async def test_too_many_calls_at_once_are_told_to_wait_and_others_are_served(
    upstream: Upstream, era: Era
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", "/v1/playbooks", slow(gate), slow(gate))
    async with (
        deployed(settings_for(upstream, auth="caller-key", max_calls_per_caller=2)) as url,
        httpx.AsyncClient(timeout=20) as web,
    ):
        async with (
            visiting(url, ONE, era=era) as client,
            visiting(url, TWO, era=era) as other,
            anyio.create_task_group() as group,
        ):
            for _ in range(2):
                group.start_soon(lambda: client.ok("list_playbooks"))
            await upstream.until("GET", "/v1/playbooks", 2)
            refused = await web.post(url, json=PING, headers=ACCEPT | ONE)
            await other.ok("list_playbooks")
            gate.set()
        after = await web.post(url, json=PING, headers=ACCEPT | ONE)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert "2 calls in flight" in refused.text
    assert after.status_code == 200


async def test_listen_streams_are_counted_apart(upstream: Upstream) -> None:
    here = settings_for(upstream, auth="caller-key", max_calls_per_caller=1)
    async with (
        deployed(here) as url,
        visiting(url, ONE) as client,
        anyio.create_task_group() as group,
    ):
        opened = 0

        async def listen() -> None:
            nonlocal opened
            async with client.sdk.listen(resources_list_changed=True):
                opened += 1
                await anyio.sleep_forever()

        for _ in range(MAX_STREAMS_PER_CALLER):
            group.start_soon(listen)
        with anyio.fail_after(5):
            while opened < MAX_STREAMS_PER_CALLER:  # noqa: ASYNC110 - opened by the tasks above
                await anyio.sleep(0.01)
        await client.ok("list_playbooks")
        with pytest.raises(Exception, match="8 listen streams open"):
            async with client.sdk.listen(resources_list_changed=True):
                pass
        group.cancel_scope.cancel()


async def test_requests_beyond_what_devin_may_be_given_wait_their_turn(upstream: Upstream) -> None:
    most = at_once = 0

    async def counted(exchange: Any) -> None:
        nonlocal most, at_once
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        await answer(200, [])(exchange)

    upstream.fail("GET", "/v1/secrets", *[counted] * 20)
    here = settings_for(upstream, max_upstream_requests=3, max_calls_per_caller=50)
    async with deployed(here) as url, visiting(url) as client, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(lambda: client.ok("list_secrets"))
    assert (most, upstream.count("GET", "/v1/secrets")) == (3, 20)


async def raw(url: str, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back on a connection of its own."""
    host, port = re.findall(r"//([^:/]+):(\d+)", url)[0]
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)
    with anyio.fail_after(10):
        found = await reader.read(65_536)
    writer.close()
    return found


HEAD = b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n"


async def test_a_body_that_trickles_in_is_given_up(upstream: Upstream) -> None:
    async with deployed(settings_for(upstream), body_timeout=0.3) as url:
        found = await raw(url, HEAD + b"content-length: 100\r\n\r\n", b"{", b'"', pause=0.2)
    assert found.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in found.lower()


async def test_large_heads_and_bodies_are_refused_and_the_server_lives(upstream: Upstream) -> None:
    large = json.dumps(call_of("create_playbook", title="t", body="x" * 5_000_000)).encode()
    async with serving("--sandbox") as (server, url), httpx.AsyncClient(timeout=20) as web:
        flooded = await raw(url, HEAD + b"x-flood: " + b"a" * 70_000 + b"\r\n\r\n")
        many = await raw(
            url, HEAD + b"".join(b"x-%d: a\r\n" % number for number in range(9000)) + b"\r\n"
        )
        declared = await web.post(
            url, content=large, headers=ACCEPT | {"content-type": "application/json"}
        )

        async def pieces() -> Any:
            for start in range(0, len(large), 65_536):
                yield large[start : start + 65_536]

        chunked = await web.post(
            url, content=pieces(), headers=ACCEPT | {"content-type": "application/json"}
        )
        alive = await web.post(url, json=PING, headers=ACCEPT)
        server.process.send_signal(signal.SIGTERM)
        assert await server.end(close=False) == 0
    assert flooded.startswith(b"HTTP/1.1 4")
    assert many.startswith(b"HTTP/1.1 4")
    assert (declared.status_code, chunked.status_code, alive.status_code) == (413, 413, 200)
    assert b"Traceback" not in server.stderr


async def test_a_cluster_is_told_whether_it_lives_and_is_ready(upstream: Upstream) -> None:
    ending = Shutdown()
    async with (
        deployed(settings_for(upstream, auth="caller-key"), ending=ending) as url,
        httpx.AsyncClient() as web,
    ):

        async def probe(path: str) -> tuple[int, dict[str, str]]:
            found = await web.get(url.replace("/mcp", path), headers={"host": "10.0.0.7:8000"})
            return found.status_code, found.json()

        assert await probe("/healthz") == (200, {"status": "alive"})
        assert await probe("/readyz") == (200, {"status": "ready", "upstream": "unknown"})
        upstream.fail("GET", "/v1/secrets", answer(500), answer(200, []))
        async with visiting(url, {"X-Devin-Api-Key": KEY}) as client:
            await client.error("list_secrets")
            assert await probe("/readyz") == (200, {"status": "ready", "upstream": "trouble"}), (
                "trouble takes nobody out"
            )
            await client.ok("list_secrets")
            assert await probe("/readyz") == (200, {"status": "ready", "upstream": "ok"})
        ending.begin()
        assert await probe("/readyz") == (503, {"status": "draining", "upstream": "ok"})
        assert await probe("/healthz") == (200, {"status": "alive"})


async def test_a_refused_request_does_not_hold_its_connection(upstream: Upstream) -> None:
    """Nobody who may not call can keep a connection by sending a body that never ends."""
    async with deployed(settings_for(upstream, auth="caller-key")) as url:
        found = await raw(url, HEAD + b"content-length: 100\r\n\r\n", b"{")
    assert found.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in found.lower()
