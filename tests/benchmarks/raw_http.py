"""Calls as the bytes of HTTP requests, so that the measuring side costs little."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

PROTOCOL = "2026-07-28"
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """On uvloop."""
    return anyio.run(lambda: work, backend_options={"use_uvloop": sys.platform != "win32"})


def request(tool: str, arguments: dict[str, Any], host: str = "127.0.0.1", **headers: str) -> bytes:
    """A call as the bytes of an HTTP request."""
    meta = {
        f"io.modelcontextprotocol/{name}": value
        for name, value in {
            "protocolVersion": PROTOCOL,
            "clientInfo": {"name": "load", "version": "0"},
            "clientCapabilities": {},
        }.items()
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        "accept: application/json, text/event-stream\r\n"
        f"mcp-protocol-version: {PROTOCOL}\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n"
        f"content-length: {len(body)}\r\n"
    )
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head += "\r\n"
    return head.encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body. The body is not parsed: that would be a good part of what is measured."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r", 1)[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
