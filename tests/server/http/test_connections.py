"""Connections: an idle one is closed, and what a body contains costs no more than its size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from devin_mcp.asgi_server import bind_socket, uvicorn_config
from tests.clock import HANG_SECONDS
from tests.http_client import QuietServer

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HEAD = b"POST /read HTTP/1.1\r\nhost: a\r\n"
EARLY = b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n"
IDLE = {
    "request": [HEAD + b"content-length: 3\r\n\r\nabc"],
    "line end behind it": [HEAD + b"content-length: 3\r\n\r\nabc\r\n"],
    "line end later": [HEAD + b"content-length: 3\r\n\r\nabc", b"\r\n"],
    "half a head": [HEAD + b"content-length: 3\r\n\r\nabc", b"POST /re"],
    "body behind its answer": [EARLY, b"abc"],
}
"""What a client sends, in parts, before it sends nothing more."""
MAX_SECONDS = 1.6
"""Of processor time. It takes 0.1, and took 2.1 when each part was copied with the rest."""


async def read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def answer_early(_: Request) -> PlainTextResponse:
    return PlainTextResponse("early")


@asynccontextmanager
async def serving(keep_alive: int) -> AsyncIterator[Connection]:
    """A connection to a server that closes idle ones after so many seconds."""
    routes = [Route(f"/{name}", act, methods=["POST"]) for name, act in ACTIONS.items()]
    config = uvicorn_config(Starlette(routes=routes), grace=1)
    config.timeout_keep_alive = keep_alive
    listener, _ = bind_socket("127.0.0.1", 0)
    web = QuietServer(config)
    running = asyncio.ensure_future(web.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        web.should_exit = True
        await running


ACTIONS = {"read": read, "early": answer_early}


@pytest.mark.parametrize("name", IDLE)
async def test_idle_connection_is_closed_whatever_was_sent_last(name: str) -> None:
    async with serving(keep_alive=1) as (reader, writer):
        for part in IDLE[name]:
            writer.write(part)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(HANG_SECONDS):
            received = await reader.read()
    assert received.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("block", "size"), [(b"x", 4_000_000), (b"\r\n\r\n", 4_000_000), (b"\r\n0\r\n\r\n", 400_000)]
)
async def test_body_may_look_like_its_end(block: bytes, size: int) -> None:
    """Each place where a body may end is a place to stop at."""
    body = block * (size // len(block))
    chunked = b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    async with serving(keep_alive=75) as (reader, writer):
        began_at = time.process_time()
        writer.write(HEAD + chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        received = await reader.read()
        seconds = time.process_time() - began_at
    assert received.endswith(str(len(body)).encode())
    assert seconds < MAX_SECONDS
