"""Hostile HTTP requests are answered with an error, and the server keeps serving."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from mcp.types import ElicitResult

from tests.e2e.processes import Process, start_http_process
from tests.http_client import ACCEPT, INITIALIZE, connect_over_http

KEY = {"X-Devin-Api-Key": "apk_user_hostile_1"}
MODERN = "2026-07-28"


@pytest.fixture
async def server() -> AsyncIterator[tuple[Process, str]]:
    """The process and its URL; after the test it must still serve and must have logged no crash."""
    flags = ("--auth", "caller-key", "--max-sessions", "10000", "--max-calls-per-caller", "100")
    async with start_http_process("--sandbox", *flags) as (process, url):
        yield process, url
        async with httpx.AsyncClient(timeout=20) as web:
            answer = await web.post(url, json=INITIALIZE, headers=ACCEPT | KEY)
            assert answer.status_code == 200, "the server still answers"
        process.process.terminate()
        assert await process.wait_for_exit(close=False) == 0
    for trace in (b"Traceback", b'"crash"', b'"crashed"'):
        assert trace not in process.stderr


def meta() -> dict[str, Any]:
    return {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }


BODIES: list[bytes] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"[[[[",
    b"5",
    b'"text"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 5000,
    b"1" * 5000,
    b"NaN",
    b'{"jsonrpc":"2.0"}',
    b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":5}',
    b'{"jsonrpc":"2.0","id":1,"method":"no/such"}',
    b'{"jsonrpc":"2.0","id":1,"result":{}}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":{}}}',
    (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
        b'"params":{"name":"devin_list_sessions","arguments":"x"}}'
    ),
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]',
    (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
        b'"params":{"name":"devin_get_session","arguments":{"session_id":"\\ud800"}}}'
    ),
    b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
]

HEADERS: list[dict[str, str]] = [
    {},
    {"mcp-protocol-version": "2025-11-25"},
    {"mcp-protocol-version": MODERN},
    {"mcp-protocol-version": "1999-01-01"},
    {"mcp-protocol-version": "x" * 3000},
    {"mcp-protocol-version": MODERN, "mcp-method": "tools/list", "mcp-name": "\\..\\"},
    {"mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"},
    {"mcp-session-id": "../../etc/passwd"},
    {"accept": "text/plain"},
    {"content-type": "text/xml"},
    {"content-encoding": "gzip"},
]


async def test_invalid_messages_and_headers_are_answered_with_errors(
    server: tuple[Process, str],
) -> None:
    _, url = server
    async with httpx.AsyncClient(timeout=20) as web:
        for headers in HEADERS:
            for body in BODIES:
                answer = await web.post(
                    url,
                    content=body,
                    headers={**ACCEPT, "content-type": "application/json", **KEY, **headers},
                )
                assert answer.status_code < 500 or answer.status_code == 501, (
                    headers,
                    body[:80],
                    answer.status_code,
                    answer.text[:200],
                )
                assert "Traceback" not in answer.text
                assert "devin_mcp" not in answer.text.replace("devin_mcp-", "")


async def test_incomplete_body_does_not_disturb_other_callers(server: tuple[Process, str]) -> None:
    _, url = server
    host, port = url.split("/")[2].split(":")
    for part in (b'{"jsonrpc":"2.0",', b""):
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
            f"x-devin-api-key: {KEY['X-Devin-Api-Key']}\r\n"
        )
        writer.write(f"{head}content-length: 500\r\n\r\n".encode() + part)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with connect_over_http(url, KEY) as client:
        assert len((await client.ok("list_secrets"))["secrets"]) == 2


async def test_no_spelling_of_the_path_bypasses_authentication(
    server: tuple[Process, str],
) -> None:
    """The SDK's own route also matches a path that ends in a line break."""
    _, url = server
    host, port = url.split("/")[2].split(":")
    for path in (
        "/mcp%0a",
        "/mcp%0A",
        "/mcp%0d%0a",
        "//mcp",
        "/./mcp",
        "/mcp;x",
        "/%6dcp",
        "/mcp/",
        "/mcp/x",
        "/MCP",
        "/mcp%00",
        "/mcp%2f",
    ):
        for method in ("POST", "GET", "HEAD", "OPTIONS", "DELETE", "PUT"):
            reader, writer = await asyncio.open_connection(host, int(port))
            body = (
                json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
                if method == "POST"
                else b""
            )
            head = (
                f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
                "accept: application/json, text/event-stream\r\n"
            )
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            async with asyncio.timeout(5):
                status = (await reader.readline()).split()[1]
            writer.close()
            assert status in {b"400", b"403", b"404", b"405"}, (method, path, status)


async def test_unread_bodies_do_not_hold_a_connection(server: tuple[Process, str]) -> None:
    _, url = server
    host, port = url.split("/")[2].split(":")

    async def answer_to(line: str) -> bytes:
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"{line} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 100000000\r\n\r\n{{"
        writer.write(head.encode())
        await writer.drain()
        async with asyncio.timeout(8):
            answer = await reader.read()  # until the server closes the connection
        writer.close()
        return answer

    lines = ("POST /healthz", "GET /healthz", "PUT /mcp", "POST /nowhere")
    answers = await asyncio.gather(*map(answer_to, lines))
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 400"] * len(lines)


async def test_request_state_confirms_only_the_call_it_was_issued_for(
    server: tuple[Process, str],
) -> None:
    """State that is altered, forged or sent with another call or key deletes nothing."""
    _, url = server
    async with httpx.AsyncClient(timeout=20) as web:

        async def delete(secret: str, key: dict[str, str] = KEY, **more: Any) -> dict[str, Any]:
            capable = meta() | {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
            params = {
                "name": "devin_delete_secret",
                "arguments": {"secret_id": secret},
                "_meta": capable,
                **more,
            }
            headers = {
                "mcp-protocol-version": MODERN,
                "mcp-method": "tools/call",
                "mcp-name": "devin_delete_secret",
            }
            answer = await web.post(
                url,
                json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
                headers={**ACCEPT, **headers, **key},
            )
            assert answer.status_code < 500
            message: dict[str, Any] = answer.json()
            return message

        asked = (await delete("secret-0001"))["result"]
        state = asked["requestState"]
        agreed: dict[str, Any] = {
            "inputResponses": {
                "confirm": ElicitResult(action="accept", content={}).model_dump(by_alias=True)
            }
        }
        flipped = state[:-6] + ("A" if state[-6] != "A" else "B") + state[-5:]
        for message in (
            await delete("secret-0002", requestState=state, **agreed),
            await delete(
                "secret-0001", {"X-Devin-Api-Key": "apk_user_other_9"}, requestState=state, **agreed
            ),
            await delete("secret-0001", requestState=flipped, **agreed),
            await delete("secret-0001", requestState="", **agreed),
            await delete("secret-0001", requestState="x" * 100_000, **agreed),
            await delete("secret-0001", requestState=base64.b64encode(b"asked").decode(), **agreed),
        ):
            assert (
                "error" in message
                or message["result"].get("isError")
                or "requestState" in message["result"]
            ), message
        async with connect_over_http(url, KEY) as client:
            assert len((await client.ok("list_secrets"))["secrets"]) == 2
        assert (await delete("secret-0001", requestState=state, **agreed))["result"][
            "structuredContent"
        ]["deleted"] is True
