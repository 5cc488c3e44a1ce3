"""Connections to Devin, for reads and for all else: which one a request gets, and what becomes of
it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, get_args

import httpx
import pytest

from devin_mcp.api.direct_connections import DirectConnections
from devin_mcp.api.read_connections import ReadConnections
from tests.clock import AutoClock
from tests.conftest import eventually
from tests.upstream import (
    Exchange,
    Fault,
    Upstream,
    answer,
    cut_reply,
    delay_reply,
    drop_connection,
    head,
    never_answer,
    start_upstream,
)

pytestmark = pytest.mark.usefixtures("no_proxies")

PATH = "/v1/sessions"
TIMEOUT = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 0.05}


Kind = Literal["reads", "writes"]
every_kind = pytest.mark.parametrize("kind", get_args(Kind))


@asynccontextmanager
async def connections(
    clock: AutoClock, kind: Kind = "writes", *, most: int = 8, idle: int = 4
) -> AsyncIterator[httpx.AsyncBaseTransport]:
    limits = httpx.Limits(
        max_connections=most, max_keepalive_connections=idle, keepalive_expiry=15.0
    )
    certificates = ssl.create_default_context()
    transport: httpx.AsyncBaseTransport = (
        ReadConnections(certificates, limits)
        if kind == "reads"
        else DirectConnections(certificates, limits, clock)
    )
    try:
        yield transport
    finally:
        await transport.aclose()


def request(upstream: Upstream, **timeout: float) -> httpx.Request:
    extensions = {"timeout": TIMEOUT | timeout}
    return httpx.Request("GET", f"{upstream.url}{PATH}", extensions=extensions)


async def get(transport: httpx.AsyncBaseTransport, upstream: Upstream, **timeout: float) -> int:
    response = await transport.handle_async_request(request(upstream, **timeout))
    try:
        await response.aread()
    finally:
        await response.aclose()
    return response.status_code


@every_kind
async def test_requests_one_after_another_share_a_connection(
    upstream: Upstream, clock: AutoClock, kind: Kind
) -> None:
    async with connections(clock, kind) as transport:
        for _ in range(3):
            await get(transport, upstream)
        assert upstream.connections == 1
    await eventually(lambda: upstream.connections == 0)


@every_kind
async def test_requests_at_once_have_one_each_and_few_stay_open(
    upstream: Upstream, clock: AutoClock, kind: Kind
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", PATH, *[delay_reply(gate)] * 8)
    async with connections(clock, kind, idle=3) as transport:
        burst = [asyncio.ensure_future(get(transport, upstream)) for _ in range(8)]
        await upstream.wait_for("GET", PATH, 8)
        assert upstream.connections == 8
        gate.set()
        await asyncio.gather(*burst)
        await eventually(lambda: upstream.connections == 3)


async def test_idle_connection_that_is_too_old_is_closed(
    upstream: Upstream, clock: AutoClock
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", PATH, *[delay_reply(gate)] * 2)
    async with connections(clock) as transport:
        burst = [asyncio.ensure_future(get(transport, upstream)) for _ in range(2)]
        await upstream.wait_for("GET", PATH, 2)
        gate.set()
        await asyncio.gather(*burst)
        clock.skip(20)
        assert await get(transport, upstream) == 401
        await eventually(lambda: upstream.connections == 1)


@every_kind
async def test_connection_that_the_server_has_closed_is_not_used_again(
    upstream: Upstream, clock: AutoClock, kind: Kind
) -> None:
    async with connections(clock, kind) as transport:
        await get(transport, upstream)
        await upstream.stop()
        await upstream.start()
        await asyncio.sleep(0.01)  # the end of the connection arrives
        assert await get(transport, upstream) == 401
        assert upstream.count("GET") == 2


@every_kind
async def test_requests_at_once_find_that_the_server_has_closed_all(
    upstream: Upstream, clock: AutoClock, kind: Kind
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", PATH, *[delay_reply(gate)] * 4)
    async with connections(clock, kind) as transport:
        burst = [asyncio.ensure_future(get(transport, upstream)) for _ in range(4)]
        await upstream.wait_for("GET", PATH, 4)
        gate.set()
        await asyncio.gather(*burst)
        await upstream.stop()
        await upstream.start()
        await asyncio.sleep(0.01)  # the ends of the connections arrive
        assert await asyncio.gather(*(get(transport, upstream) for _ in range(4))) == [401] * 4


@every_kind
async def test_each_server_has_connections_of_its_own(
    upstream: Upstream, clock: AutoClock, kind: Kind
) -> None:
    async with connections(clock, kind) as transport, start_upstream() as other:
        for server in (upstream, other, upstream, other):
            await get(transport, server)
        assert (upstream.connections, other.connections) == (1, 1)


async def test_request_without_a_free_connection_is_never_sent(
    upstream: Upstream, clock: AutoClock
) -> None:
    """A response that is read in parts, such as a download, keeps its connection."""
    upstream.fail("GET", PATH, answer(200, {}), answer(200, {}))
    async with connections(clock, most=1) as transport:
        open_response = await transport.handle_async_request(request(upstream))
        with pytest.raises(httpx.PoolTimeout):
            await get(transport, upstream)
        assert upstream.count("GET") == 1
        await open_response.aclose()
        assert await get(transport, upstream) == 200


@every_kind
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (drop_connection, httpx.RemoteProtocolError),
        (cut_reply, httpx.RemoteProtocolError),
        (never_answer, httpx.ReadTimeout),
    ],
)
async def test_broken_connection_is_an_error_of_httpx(
    upstream: Upstream,
    clock: AutoClock,
    kind: Kind,
    fault: Fault,
    error: type[httpx.TransportError],
) -> None:
    upstream.fail("GET", PATH, fault)
    async with connections(clock, kind, most=1) as transport:
        with pytest.raises(error) as raised:
            await get(transport, upstream, read=0.2)
        assert raised.value.request.url.path == PATH
        assert await get(transport, upstream) == 401


@every_kind
async def test_request_that_is_cancelled_frees_its_connection(
    upstream: Upstream, clock: AutoClock, kind: Kind
) -> None:
    upstream.fail("GET", PATH, never_answer)
    async with connections(clock, kind, most=1) as transport:
        waiting = asyncio.ensure_future(get(transport, upstream))
        await upstream.wait_for("GET", PATH)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await get(transport, upstream) == 401


@every_kind
async def test_body_that_is_cancelled_frees_its_connection(
    upstream: Upstream, clock: AutoClock, kind: Kind
) -> None:
    """As when the deadline of a call comes while the body arrives slowly."""
    began = asyncio.Event()

    async def send_half(exchange: Exchange) -> None:
        exchange.writer.write(head(200, {"content-length": "2"}) + b"x")
        began.set()
        await never_answer(exchange)

    upstream.fail("GET", PATH, send_half)
    async with connections(clock, kind, most=1) as transport:
        response = await transport.handle_async_request(request(upstream))
        reading = asyncio.ensure_future(response.aread())
        await began.wait()
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await get(transport, upstream) == 401


@every_kind
async def test_server_that_is_not_there_is_a_connect_error(
    upstream: Upstream, clock: AutoClock, kind: Kind
) -> None:
    await upstream.stop()
    async with connections(clock, kind, most=1) as transport:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                await get(transport, upstream)
