"""No input, of a caller or of Devin, keeps the event loop from serving others for long."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from devin_mcp.keys import DevinApi
from tests.e2e.processes import environment
from tests.http_client import ACCEPT
from tests.server.http.hostile_calls import CASES, Case
from tests.upstream import KEYS, Upstream

MAX_BLOCKED_SECONDS = 0.1
TRIES = 10
"""The shortest of several times counts: the machine may be busy with other tests."""


@pytest.fixture
async def server(upstream: Upstream) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.server.http.watched_server",
        env={**environment(), "DEVIN_BASE_URL": upstream.url},  # coverage slows it down
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def test_no_input_blocks_the_event_loop(
    server: str, upstream: Upstream, api: DevinApi
) -> None:
    headers = {**ACCEPT, "X-Devin-Api-Key": KEYS[api], "mcp-protocol-version": "2025-11-25"}
    blocked: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=server, timeout=60) as http:

        async def call(case: Case) -> str:
            upstream.clear_faults()
            for operation_id, fault in case.faults.items():
                upstream.fail_operation(operation_id, *[fault] * 60)
            params = case.arguments
            if case.tool:
                params = {"name": f"devin_{case.tool}", "arguments": case.arguments}
            body = {"jsonrpc": "2.0", "id": 1, "method": case.method, "params": params}
            await http.get("/blocked")
            reply = await http.post("/mcp", json=body, headers=headers)
            blocked_now: float = (await http.get("/blocked")).json()
            blocked[name] = min(blocked.get(name, blocked_now), blocked_now)
            return reply.text

        name = "warm-up"
        await call(CASES["rows"])
        await call(CASES["many schemas"])
        for name, case in CASES.items():
            with anyio.fail_after(60):
                for _ in range(TRIES):
                    text = await call(case)
                    assert "a bug in it" not in text, name
                    assert case.shows in text.replace('\\"', '"'), (name, text[:500])
                    if blocked[name] < MAX_BLOCKED_SECONDS:
                        break
    del blocked["warm-up"]
    slow = {
        name: round(seconds, 3)
        for name, seconds in blocked.items()
        if seconds > MAX_BLOCKED_SECONDS
    }
    assert slow == {}
