"""A transport without a pool: each request has a connection of httpcore to itself.

httpcore's pool does work in proportion to its connections for every request. With 32 requests at
once, that is most of what a request costs (CONTRIBUTING.md).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from devin_mcp.api.clock import Clock

DEFAULT_PORTS = {b"http": 80, b"https": 443}


class DirectConnections(httpx.AsyncBaseTransport):
    """Sends each request on the idle connection that was used last, or on a new one."""

    def __init__(self, certificates: ssl.SSLContext, limits: httpx.Limits, clock: Clock) -> None:
        self._certificates = certificates
        self._clock = clock
        self._max_idle = limits.max_keepalive_connections or 0
        self._expiry = limits.keepalive_expiry or 0.0
        self._slots = asyncio.Semaphore(limits.max_connections or 1)
        self._connections: set[httpcore.AsyncHTTPConnection] = set()
        self._idle: list[tuple[httpcore.AsyncHTTPConnection, float]] = []
        """With the time since when. The one that was used last is the last."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.PoolTimeout if every connection stays in use."""
        url = request.url
        port = url.port or DEFAULT_PORTS[url.raw_scheme]
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        await self._wait_for_slot(request)
        connection: httpcore.AsyncHTTPConnection | None = None
        try:
            connection = await self._take(sent.url.origin)
            with _httpx_errors(request):
                response = await connection.handle_async_request(sent)
        except BaseException:
            await self.release(connection)
            raise
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_ResponseStream(self, connection, response, request),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        connections, self._connections = self._connections, set()
        self._idle.clear()
        for connection in connections:
            await connection.aclose()

    async def release(self, connection: httpcore.AsyncHTTPConnection | None) -> None:
        """Keep a connection that can be used again, and close those that were idle for too long."""
        self._slots.release()
        now = self._clock.now()
        if connection in self._connections:
            if connection.is_idle():
                self._idle.append((connection, now))
            else:
                await self._close(connection)
        while self._idle and (
            len(self._idle) > self._max_idle or self._idle[0][1] < now - self._expiry
        ):
            await self._close(self._idle.pop(0)[0])

    async def _wait_for_slot(self, request: httpx.Request) -> None:
        if not self._slots.locked():  # as a rule; a timeout is not free
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(request.extensions["timeout"]["pool"]):
                await self._slots.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("every connection is in use", request=request) from None

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        while found := next(
            (item for item in reversed(self._idle) if item[0].can_handle_request(origin)), None
        ):  # searched anew each time: others take connections while one is closed
            self._idle.remove(found)
            if not found[0].has_expired():  # by its age, or its server has closed it
                return found[0]
            await self._close(found[0])
        connection = httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._certificates, keepalive_expiry=self._expiry
        )
        self._connections.add(connection)
        return connection

    async def _close(self, connection: httpcore.AsyncHTTPConnection) -> None:
        self._connections.discard(connection)
        await connection.aclose()


class _ResponseStream(httpx.AsyncByteStream):
    """The body of a response, after which its connection is released."""

    def __init__(
        self,
        connections: DirectConnections,
        connection: httpcore.AsyncHTTPConnection,
        response: httpcore.Response,
        request: httpx.Request,
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._stream: Any = response.stream
        self._request = request
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            with _httpx_errors(self._request):
                async for part in self._stream:
                    yield part
        except BaseException:  # such as the deadline of the call: nobody closes it then
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            with _httpx_errors(self._request):
                await self._stream.aclose()
        finally:
            await self._connections.release(self._connection)


@contextmanager
def _httpx_errors(request: httpx.Request) -> Iterator[None]:
    """Raises the error of httpx that has the same name, as httpx's own transport does."""
    try:
        yield
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        kind: type[httpx.RequestError] = getattr(httpx, type(error).__name__)
        raise kind(str(error), request=request) from error
