"""What calls hold counts against the process's budget until they have ended, and the pod's memory
limit follows from that budget.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path

import anyio
import httpx
import pytest
import yaml

from devin_mcp.api.memory import MIB, MemoryBudget
from devin_mcp.operations.cache import MAX_BYTES as MAX_CACHED_BYTES
from devin_mcp.operations.sessions.conversation_cache import MAX_BYTES as MAX_CONVERSATION_BYTES
from devin_mcp.operations.waiting.pollers import MAX_POLLED_BYTES
from devin_mcp.server.http.limits import MAX_CALLS_BYTES, MAX_STREAMS_BYTES
from tests.conftest import Era, eventually, settings_for
from tests.e2e.processes import start_process
from tests.fake_session import FakeSession
from tests.http_client import (
    ACCEPT,
    INITIALIZE,
    MODERN,
    MODERN_META,
    connect_over_http,
    start_http_server,
)
from tests.server.http.process_memory import peak_mib
from tests.upstream import KEY, V3_KEY, Exchange, Upstream, answer, delay_reply

BASE_BYTES = 100 * MIB
"""Of a process that serves nobody yet."""
FRAGMENTATION = 1.3
"""Memory that the allocator keeps, sockets, and what decoding needs for a moment."""
DEPLOYMENT = Path(__file__).parents[3] / "manifests/kubernetes/deployment.yaml"


def pod_limit_mib() -> int:
    document = yaml.safe_load(DEPLOYMENT.read_text(encoding="utf-8"))
    (container,) = document["spec"]["template"]["spec"]["containers"]
    match = re.fullmatch(r"(\d+)Mi", container["resources"]["limits"]["memory"])
    assert match is not None
    return int(match[1])


def test_memory_limit_of_the_pod_follows_from_the_budgets() -> None:
    budgets = (MAX_CALLS_BYTES, MAX_STREAMS_BYTES, MAX_CACHED_BYTES, MAX_CONVERSATION_BYTES)
    needed = (BASE_BYTES + sum(budgets) + MAX_POLLED_BYTES) * FRAGMENTATION / MIB
    assert needed <= pod_limit_mib() <= needed * 1.2


def upload(content: str) -> bytes:
    """A call of devin_upload_attachment."""
    arguments = {"name": "a.txt", "content": content}
    params = {"name": "devin_upload_attachment", "arguments": arguments}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(call, ensure_ascii=False).encode()


SIZE = 4_000_000 - 400
BODIES = {
    "text": upload("x" * SIZE),
    "emoji": upload("x" * SIZE + "😀"),
    "many values": upload("x")[:-2] + b', "_meta": {"a": [' + b"[]," * (SIZE // 3) + b"[]]}}}",
}


@pytest.mark.parametrize(("kind", "callers"), [("text", 200), ("emoji", 60), ("many values", 60)])
async def test_uploads_while_devin_stalls_stay_below_the_limit_of_the_pod(
    upstream: Upstream, kind: str, callers: int
) -> None:
    """Each caller has a made-up key, and its upload is not answered. A good caller is served."""

    async def never(exchange: Exchange) -> None:
        await anyio.sleep_forever()

    upstream.fail("POST", ".*", *[never] * callers)
    statuses: list[int] = []

    async def post(port: int, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = f"x-devin-api-key: apk_user_madeup{number:06}"
        lines = ["POST /mcp HTTP/1.1", "host: 127.0.0.1", key, f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in ACCEPT.items()]
        lines += ["content-type: application/json"]
        try:
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
            writer.write(body)
            with suppress(ConnectionError):
                await writer.drain()
            with suppress(ConnectionError, IndexError):
                statuses.append(int((await reader.readline()).split()[1]))
            await anyio.sleep_forever()
        finally:
            writer.close()

    body = BODIES[kind]
    command = ["http", "--port", "0", "--auth", "caller-key", "--log-format", "json"]
    async with start_process(*command, DEVIN_BASE_URL=upstream.url) as server:
        url = (await server.wait_for_log("serving"))["url"]
        assert server.process.stderr is not None
        draining = asyncio.ensure_future(server.process.stderr.read())
        port = httpx.URL(url).port
        assert port is not None
        async with anyio.create_task_group() as group:
            for number in range(callers):
                group.start_soon(post, port, number)
            with anyio.fail_after(60):
                await eventually(lambda: len(statuses) >= callers - 16)
            async with connect_over_http(url, {"X-Devin-Api-Key": KEY}) as good:
                await good.ok("list_sessions")
            peak = peak_mib(server.process.pid)
            group.cancel_scope.cancel()
        server.process.kill()
        await draining
    assert peak < pod_limit_mib()
    assert statuses.count(413 if kind == "many values" else 503) > callers / 2
    if kind == "text":
        assert statuses.count(200) >= 8, "what fits is served"


async def test_write_that_outlives_its_call_counts_until_it_has_ended(
    upstream: Upstream, era: Era
) -> None:
    budget, gate = MemoryBudget(64 * MIB), asyncio.Event()
    upstream.fail_operation("upload_attachment", delay_reply(gate))
    settings = settings_for(upstream, auth="caller-key")
    async with (
        start_http_server(settings, memory=budget) as url,
        connect_over_http(url, {"X-Devin-Api-Key": KEY}, era=era) as client,
    ):
        uploading = asyncio.ensure_future(
            client("upload_attachment", name="a.txt", content="x" * MIB)
        )
        await upstream.wait_for_operation("upload_attachment")
        uploading.cancel()
        await asyncio.wait({uploading})
        await anyio.sleep(0.2)  # until the server has seen that its caller is gone
        assert budget.used > 3 * MIB
        gate.set()
        await eventually(lambda: budget.used == 0)


async def test_rejected_and_failed_calls_hold_nothing_afterwards(upstream: Upstream) -> None:
    budget = MemoryBudget(64 * MIB)
    upstream.fail("POST", ".*", answer(500), answer(422))
    bodies = [*BODIES.values(), b"{", b"", json.dumps(INITIALIZE).encode(), upload("x" * 1000)]
    settings = settings_for(upstream, auth="caller-key")
    async with start_http_server(settings, memory=budget) as url, httpx.AsyncClient() as http:
        for body in bodies * 2:
            headers = {**ACCEPT, "content-type": "application/json", "X-Devin-Api-Key": KEY}
            await http.post(url, content=body, headers=headers, timeout=30)
        await eventually(lambda: budget.used == 0)
    assert budget.used == 0


async def test_answer_of_devin_that_does_not_fit_now_is_refused(upstream: Upstream) -> None:
    budget = MemoryBudget(8 * MIB)
    large = answer(200, json.dumps({"items": [], "more": "x" * MIB}).encode())
    upstream.fail("GET", "/v1/playbooks", *[large] * 2)
    async with (
        start_http_server(settings_for(upstream, auth="caller-key"), memory=budget) as url,
        connect_over_http(url, {"X-Devin-Api-Key": KEY}) as client,
    ):
        occupied = budget.hold()
        occupied.add(5 * MIB)
        refused = await client.error("list_playbooks")
        await client.ok("list_sessions")
        occupied.release()
        await client.ok("list_playbooks")
        await eventually(lambda: budget.used == 0)
    assert "does not fit into this server's memory" in refused


async def test_listen_streams_with_large_bodies_leave_room_for_calls(upstream: Upstream) -> None:
    """Each holds its body for as long as it is open."""
    budget = MemoryBudget(64 * MIB)
    uris = ["devin://sessions/devin-" + "0" * 40_000] * 25
    statuses = []
    async with (
        start_http_server(settings_for(upstream, auth="caller-key"), memory=budget) as url,
        anyio.create_task_group() as group,
    ):

        async def listen(number: int) -> None:
            key = f"apk_user_madeup{number:04}"
            params = {"notifications": {"resourceSubscriptions": uris}, "_meta": MODERN_META}
            body = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
            headers = {
                "mcp-protocol-version": MODERN,
                **ACCEPT,
                "mcp-method": "subscriptions/listen",
                "X-Devin-Api-Key": key,
            }
            async with (
                httpx.AsyncClient(timeout=30) as http,
                http.stream("POST", url, json=body, headers=headers) as reply,
            ):
                statuses.append(reply.status_code)
                await anyio.sleep_forever()

        for number in range(40):
            group.start_soon(listen, number)
        await eventually(lambda: len(statuses) == 40)
        async with connect_over_http(url, {"X-Devin-Api-Key": KEY}) as client:
            await client.ok("upload_attachment", name="a.txt", content="x" * MIB)
        group.cancel_scope.cancel()
    assert statuses.count(503) >= 30


async def test_pages_of_a_list_count_until_it_is_complete(upstream: Upstream) -> None:
    """Each page is small; a hundred of them are not."""
    budget = MemoryBudget(16 * MIB)
    row = {"playbook_id": "p", "title": "t", "body": "x" * 100_000}
    pages = [
        answer(200, {"items": [row] * 2, "end_cursor": f"c{number}", "has_next_page": number < 99})
        for number in range(100)
    ]
    upstream.fail_operation("list_playbooks", *pages)
    async with (
        start_http_server(settings_for(upstream, auth="caller-key"), memory=budget) as url,
        connect_over_http(url, {"X-Devin-Api-Key": V3_KEY}) as client,
    ):
        text = await client.error("list_playbooks")
        upstream.clear_faults()
        await client.ok("list_playbooks")
        await eventually(lambda: budget.used == 0)
    assert "The list does not fit into this server's memory" in text
    assert len(upstream.sent("list_playbooks")) < 90


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_refused_download_holds_nothing_afterwards(upstream: Upstream, status: int) -> None:
    budget = MemoryBudget(64 * MIB)
    upstream.fail_operation("download_attachment", *[answer(status, b"x" * MIB)] * 9)
    async with (
        start_http_server(settings_for(upstream, auth="caller-key"), memory=budget) as url,
        connect_over_http(url, {"X-Devin-Api-Key": KEY}) as client,
    ):
        await client.error("download_attachment", uuid="1", name="a.txt")
        await eventually(lambda: budget.used == 0)
    assert budget.used == 0


async def test_session_whose_messages_are_too_large_is_not_followed(upstream: Upstream) -> None:
    FakeSession("devin-1", "working").at(upstream).devin_says("x" * 30 * MIB)
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        connect_over_http(url, {"X-Devin-Api-Key": KEY}) as client,
    ):
        result = await client("wait_for_sessions", session_ids=["devin-1"], max_wait_s=1)
    text = str(result.content)[:500]
    upstream.fake_sessions.clear()  # a failure would be shown with them
    assert "could not be asked in all that time. The session's messages do not fit" in text
