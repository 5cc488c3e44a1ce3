"""What may surround a body: heads, trailers, upgrades, and several requests at once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from devin_mcp.server.http.limits import MAX_HEAD_BYTES, MAX_STREAMS_PER_CALLER
from tests.clock import HANG_SECONDS
from tests.conftest import settings_for
from tests.http_client import INITIALIZE, MODERN, MODERN_META, start_http_server
from tests.server.http.raw_requests import REQUEST_HEAD
from tests.upstream import Upstream

END_OF_ANSWER = b"\r\n0\r\n\r\n"
STEPS = [1000, 1_000_000]
"""Bytes that are sent at once."""


def post(message: dict[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return REQUEST_HEAD + b"content-length: %d\r\n\r\n" % len(body) + body


BODY = json.dumps(INITIALIZE).encode()
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
LONG = b"x" * 10 * MAX_HEAD_BYTES  # more than is read at once
SHORT = b"x" * (MAX_HEAD_BYTES // 2)

UPGRADE = (
    REQUEST_HEAD
    + b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQA\r\n"
    + LENGTH
    + b"\r\n"
    + BODY
)
"""As Java's client sends it."""

_LISTEN_BODY = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "subscriptions/listen",
        "params": {"_meta": MODERN_META, "notifications": {"toolsListChanged": True}},
    }
).encode()
LISTEN = (
    REQUEST_HEAD
    + f"mcp-protocol-version: {MODERN}\r\nmcp-method: subscriptions/listen\r\n".encode()
    + b"content-length: %d\r\n\r\n" % len(_LISTEN_BODY)
    + _LISTEN_BODY
)
"""A request whose answer does not end."""

TOO_LONG = {
    "path": b"POST /" + LONG,
    "one header": REQUEST_HEAD + b"x-a: " + LONG,
    "name of a header": REQUEST_HEAD + LONG,
    "many headers": REQUEST_HEAD + b"x-a: b\r\n" * (len(LONG) // 8),
    "trailer": REQUEST_HEAD + CHUNKED + b"x-a: " + LONG,
    "many trailers": REQUEST_HEAD + CHUNKED + b"x-a: b\r\n" * (len(LONG) // 8),
}
ANSWERED = {
    "header below the bound": REQUEST_HEAD + b"x-a: " + SHORT + b"\r\n" + LENGTH + b"\r\n" + BODY,
    "trailer below the bound": REQUEST_HEAD + CHUNKED + b"x-a: " + SHORT + b"\r\n\r\n",
    "many small chunks": REQUEST_HEAD
    + b"transfer-encoding: chunked\r\n\r\n"
    + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY + b" " * MAX_HEAD_BYTES)
    + b"0\r\n\r\n",
    "request to upgrade": UPGRADE,
    "blanks around a value": REQUEST_HEAD
    + b"mcp-protocol-version: \t 2025-11-25 \t \r\n"
    + LENGTH
    + b"\r\n"
    + BODY,
    "two requests to upgrade": 2 * UPGRADE,
    "chunks of a request to upgrade": REQUEST_HEAD
    + b"connection: upgrade\r\nupgrade: h2c\r\n"
    + CHUNKED
    + b"\r\n",
    "trailers that name a host": REQUEST_HEAD + CHUNKED + b"host: evil\r\norigin: http://x\r\n\r\n",
    "empty lines before a request": b"\r\n\r\n" + REQUEST_HEAD + LENGTH + b"\r\n" + BODY,
    "expectation": REQUEST_HEAD + b"expect: 100-continue\r\n" + LENGTH + b"\r\n" + BODY,
}
HOST = b"host: 127.0.0.1\r\n"
REFUSED = {
    "no host": REQUEST_HEAD.replace(HOST, b"") + LENGTH + b"\r\n" + BODY,
    "two hosts": REQUEST_HEAD + HOST + LENGTH + b"\r\n" + BODY,
    "address of another host": REQUEST_HEAD.replace(b"/mcp", b"http://evil.example/mcp")
    + LENGTH
    + b"\r\n"
    + BODY,
    "fragment": REQUEST_HEAD.replace(b"/mcp", b"/mcp#x") + LENGTH + b"\r\n" + BODY,
    "HTTP/2.0": REQUEST_HEAD.replace(b"/1.1", b"/2.0") + LENGTH + b"\r\n" + BODY,
    "HTTP/0.9": b"GET /mcp\r\n\r\n",
    "coding inside of chunks": REQUEST_HEAD + CHUNKED.replace(b": chunked", b": gzip, chunked"),
    "chunked twice": REQUEST_HEAD + b"transfer-encoding: chunked\r\n" + CHUNKED + b"\r\n",
    "the same length twice": REQUEST_HEAD + LENGTH + LENGTH + b"\r\n" + BODY,
    "line feeds alone": (REQUEST_HEAD + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "two lengths": REQUEST_HEAD + LENGTH + b"content-length: 1\r\n\r\n" + BODY,
    "length and chunks": REQUEST_HEAD + LENGTH + CHUNKED + b"\r\n",
    "negative length": REQUEST_HEAD + b"content-length: -1\r\n\r\n" + BODY,
    "blank before the colon": REQUEST_HEAD + b"x-a : b\r\n" + LENGTH + b"\r\n" + BODY,
    "folded header": REQUEST_HEAD + b"x-a: b\r\n c\r\n" + LENGTH + b"\r\n" + BODY,
    "null in a header": REQUEST_HEAD + b"x-a: \0\r\n" + LENGTH + b"\r\n" + BODY,
    "chunk without a number": REQUEST_HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "other coding": REQUEST_HEAD + b"transfer-encoding: gzip\r\n\r\n" + BODY,
    "another protocol": (REQUEST_HEAD + LENGTH + b"\r\n").replace(b"HTTP/1.1", b"RTSP/1.0") + BODY,
    "one more protocol": (REQUEST_HEAD + LENGTH + b"\r\n").replace(b"HTTP/1.1", b"ICE/1.0") + BODY,
    "protocol in the next line": b"GET /healthz\r\nfoo: HTTP/1.1\r\n" + HOST + b"\r\n",
    "tunnel": b"CONNECT /mcp HTTP/1.1\r\n" + HOST + b"\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "path outside of ASCII": b"POST /mcp\xff HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
}


@pytest.fixture
async def url(upstream: Upstream) -> AsyncIterator[str]:
    async with start_http_server(settings_for(upstream)) as url:
        yield url


async def exchange(
    url: str, request: bytes, step: int, answers: int = 100, pause: float = 0.0
) -> bytes:
    """What is received until the server closes the connection or has sent so many answers.

    The request is sent in parts of `step` bytes, with `pause` seconds between them.
    """
    host, port = re.findall(r"//([^:/]+):(\d+)", url)[0]
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""

    async def send() -> None:
        with suppress(ConnectionError):
            for start in range(0, len(request), step):
                writer.write(request[start : start + step])
                await writer.drain()
                await asyncio.sleep(pause)

    sending = asyncio.ensure_future(send())
    with suppress(ConnectionError):
        async with asyncio.timeout(HANG_SECONDS):
            while received.count(END_OF_ANSWER) < answers and (part := await reader.read(65_536)):
                received += part
    await sending
    writer.close()
    return received


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", TOO_LONG)
async def test_head_and_trailers_are_bounded(url: str, name: str, step: int) -> None:
    """A client that never ends them would fill the memory."""
    response = await exchange(url, TOO_LONG[name], step)
    assert b" 400 " in response
    assert f"The headers of a request may have {MAX_HEAD_BYTES} bytes.".encode() in response


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ANSWERED)
async def test_unusual_requests_are_answered(url: str, name: str, step: int) -> None:
    response = await exchange(url, ANSWERED[name], step, answers=ANSWERED[name].count(b"POST"))
    assert b"HTTP/1.1 200" in response, response[:300]
    assert b"HTTP/1.1 4" not in response


async def test_body_of_a_request_to_upgrade_may_come_later(url: str) -> None:
    head_bytes = UPGRADE.index(b"\r\n\r\n") + 4
    response = await exchange(url, UPGRADE, head_bytes, answers=1, pause=0.1)
    assert response.startswith(b"HTTP/1.1 200"), response[:300]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", REFUSED)
async def test_ambiguous_requests_are_refused(url: str, name: str, step: int) -> None:
    """A proxy in front might see another request than this server."""
    response = await exchange(url, REFUSED[name], step)
    assert response.startswith(b"HTTP/1.1 400")
    assert b"HTTP/1.1 200" not in response


@pytest.mark.parametrize("step", [1, 3, 7])
@pytest.mark.parametrize("kind", [LENGTH + b"\r\n" + BODY, CHUNKED + b"x-a: b\r\n\r\n"])
async def test_requests_may_come_in_the_smallest_parts(url: str, kind: bytes, step: int) -> None:
    received = await exchange(url, 3 * (REQUEST_HEAD + kind), step, answers=3)
    assert received.count(b"HTTP/1.1 200") == 3


async def test_trailer_is_no_header(url: str) -> None:
    """A proxy checks and replaces headers only."""
    content_type = b"content-type: application/json\r\n"
    assert content_type in REQUEST_HEAD
    request = (
        REQUEST_HEAD.replace(content_type, b"connection: close\r\n")
        + CHUNKED
        + content_type
        + b"\r\n"
    )
    assert (await exchange(url, request, 1_000_000, answers=1)).startswith(b"HTTP/1.1 415")


async def test_client_that_sends_ahead_has_to_wait(url: str) -> None:
    """What it sends would fill the memory of the server."""
    host, port = re.findall(r"//([^:/]+):(\d+)", url)[0]
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(LISTEN)
    assert (await reader.readuntil(b"acknowledged")).startswith(b"HTTP/1.1 200")
    sent = 0
    with suppress(TimeoutError):
        while sent < 50_000_000:
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n" * 10_000)
            sent += 350_000
            await asyncio.wait_for(writer.drain(), 1)
    writer.transport.abort()
    assert sent < 20_000_000


async def test_stream_ends_with_its_connection_whatever_was_sent_ahead(
    upstream: Upstream,
) -> None:
    """A caller has at most so many streams."""
    async with start_http_server(settings_for(upstream)) as url:
        host, port = re.findall(r"//([^:/]+):(\d+)", url)[0]
        for _ in range(3 * MAX_STREAMS_PER_CALLER):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(LISTEN)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            await writer.drain()
            writer.close()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("step", STEPS)
async def test_requests_that_come_at_once_are_answered_in_their_order(url: str, step: int) -> None:
    requests = [post(INITIALIZE | {"id": number}) for number in range(1, 6)]
    received = await exchange(url, b"".join(requests), step, answers=len(requests))
    assert received.count(b"HTTP/1.1 200") == len(requests)
    assert re.findall(rb'"id":(\d)', received) == [b"1", b"2", b"3", b"4", b"5"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("invalid", [b"GET /" + LONG, b"\0\0\0\0"])
async def test_request_before_an_invalid_one_has_its_whole_answer(
    url: str, invalid: bytes, step: int
) -> None:
    received = await exchange(url, post(INITIALIZE) + invalid, step)
    answer = received.partition(b"HTTP/1.1 400")[0]
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(END_OF_ANSWER)
