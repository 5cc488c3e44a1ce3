"""A request that is on its way when the server stops is answered: a proxy could not repeat it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.clock import HANG_SECONDS
from tests.e2e.processes import Process, start_http_process
from tests.e2e.test_http import wait_until_refused
from tests.http_client import INITIALIZE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX only")

BODY = json.dumps(INITIALIZE).encode()
REQUEST = (
    b"POST /mcp HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
SENT_BEFORE = [0, 1, 40, REQUEST.index(b"\r\n\r\n") + 4, len(REQUEST) - 1]
"""Bytes of the request that are sent before the signal."""
CALLERS = 30

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def start_ready() -> AsyncIterator[tuple[Process, str]]:
    """A server with its handlers of signals: `serving` is logged before."""
    async with start_http_process("--sandbox") as (process, url), httpx.AsyncClient() as web:
        assert (await web.get(urljoin(url, "/readyz"))).status_code == 200
        yield process, url


async def connect(url: str, data: bytes) -> Connection:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def answer_of(connection: Connection) -> bytes:
    """All until the server closes the connection."""
    reader, writer = connection
    async with asyncio.timeout(HANG_SECONDS):
        answer = await reader.read()
    writer.close()
    return answer


async def test_request_that_has_begun_is_answered() -> None:
    async with start_ready() as (process, url):
        unused = await connect(url, b"")
        connections = [await connect(url, REQUEST[:count]) for count in SENT_BEFORE]
        process.process.terminate()
        await wait_until_refused(url)
        for (_, writer), count in zip(connections, SENT_BEFORE, strict=True):
            writer.write(REQUEST[count:])
        answers = await asyncio.gather(*map(answer_of, connections))
        assert await answer_of(unused) == b""
        assert await process.wait_for_exit(close=False) == 0
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert b'"serverInfo"' in answer


async def test_requests_that_wait_to_be_accepted_are_answered() -> None:
    """The process stands still while they come, and gets the signal before it goes on."""
    async with start_ready() as (process, url):
        process.process.send_signal(signal.SIGSTOP)
        connections = [await connect(url, REQUEST) for _ in range(CALLERS)]
        process.process.terminate()
        process.process.send_signal(signal.SIGCONT)
        answers = await asyncio.gather(*map(answer_of, connections))
        assert await process.wait_for_exit(close=False) == 0
    assert [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200 ")] == []
