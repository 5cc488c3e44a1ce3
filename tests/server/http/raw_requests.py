"""Requests that no MCP client sends: a POST with chosen headers, or bytes on a new connection."""

from __future__ import annotations

import asyncio
import re

import anyio
import httpx

from tests.http_client import ACCEPT, INITIALIZE

REQUEST_HEAD = (
    b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"accept: application/json, text/event-stream\r\n"
)


async def post_ping(url: str, **headers: str) -> httpx.Response:
    """POST an initialize request. Underscores in the names of `headers` become hyphens."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(timeout=10) as http:
        return await http.post(url, json=INITIALIZE, headers=ACCEPT | fields)


def error_message(response: httpx.Response) -> str:
    return str(response.json()["error"]["message"])


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def exchange_bytes(url: str, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send `parts` on a new connection, with a pause after each; return the response."""
    host, port = re.findall(r"//([^:/]+):(\d+)", url)[0]
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)
    with anyio.fail_after(10):
        response = await reader.read(65_536)
    writer.close()
    return response
