"""Requests to Devin: headers, the key, the deadline and what is logged of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Connect
from tests.declared import declared_tools
from tests.upstream import KEY, Exchange, Upstream, answer, head


async def test_key_is_sent_as_bearer_token(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        await client.ok("create_playbook", title="t", body="b")
    assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert upstream.requests[0].headers["user-agent"].startswith("devin-mcp/")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "no Devin API key"),
        ("devin-session-token$x", "login token of the Devin CLI"),
        ("  ", "no Devin API key"),
    ],
)
async def test_call_without_usable_key_is_refused_with_the_reason(
    connect: Connect, upstream: Upstream, key: str, says: str
) -> None:
    async with connect(DEVIN_API_KEY=key) as client:
        text = await client.error("list_sessions")
    assert says in text
    assert "apk_" in text
    assert "--sandbox" in text
    assert upstream.requests == []


@pytest.mark.parametrize("key", ["", "devin-session-token$x", "  "])
async def test_tools_are_listed_without_usable_key(connect: Connect, key: str) -> None:
    async with connect(DEVIN_API_KEY=key) as client:
        listed = (await client.sdk.list_tools()).tools
    assert {tool.name for tool in listed} == declared_tools()


async def test_slow_response_body_ends_at_the_deadline(
    connect: Connect, upstream: Upstream
) -> None:
    async def send_byte_by_byte(exchange: Exchange) -> None:
        """Each byte arrives within the read timeout; the body never ends."""
        exchange.writer.write(
            head(200, {"content-length": "9999", "content-type": "application/json"})
        )
        for _ in range(100):
            exchange.writer.write(b" ")
            await asyncio.sleep(0.02)

    upstream.fail("GET", "/v1/sessions", send_byte_by_byte)
    async with connect(deadline=0.3) as client:
        assert "within 0.3 seconds" in await client.error("list_sessions")


async def test_response_headers_are_not_logged(
    connect: Connect, upstream: Upstream, logs: Callable[[], list[dict[str, Any]]]
) -> None:
    upstream.fail(
        "GET",
        "/v1/attachments/.*",
        answer(
            307, b"", location="https://127.0.0.1:1/f?X-Amz-Signature=SIGNED", set_cookie="C=COOKIE"
        ),
    )
    async with connect() as client:
        await client.error("download_attachment", uuid="abc", name="n")
    assert "SIGNED" not in str(logs())
    assert "COOKIE" not in str(logs())
