"""Connections for reads: a session of aiohttp below httpx's interface.

Its parser is compiled, and so a read costs half of what it costs on httpcore (CONTRIBUTING.md).
Writes stay on httpcore: there it is known exactly whether a request has left.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import lru_cache

import aiohttp
import httpx
import yarl

MAX_HEADER_BYTES = 100 * 1024
"""Of a line or a field of a response's head, as httpcore allows for the whole."""


class ReadConnections(httpx.AsyncBaseTransport):
    """Sends GET requests. Redirects, cookies and content codings are left to the caller."""

    def __init__(self, certificates: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._max_idle = limits.max_keepalive_connections or 0
        self._in_flight = 0
        most = limits.max_connections or 0
        self._session = _new_session(
            aiohttp.TCPConnector(
                ssl=certificates, limit=most, keepalive_timeout=limits.keepalive_expiry
            )
        )
        self._closing_session = _new_session(
            aiohttp.TCPConnector(ssl=certificates, limit=most, force_close=True)
        )
        """For requests beyond those whose connections may stay open."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.TransportError."""
        headers = [
            (name.decode("ascii"), text.decode("latin-1")) for name, text in request.headers.raw
        ]
        timeouts = request.extensions["timeout"]
        session = self._session if self._in_flight < self._max_idle else self._closing_session
        self._in_flight += 1
        try:
            with _httpx_errors(request):
                response = await session.get(
                    _parse_url(str(request.url)),
                    headers=headers,
                    allow_redirects=False,
                    timeout=_timeout(timeouts["connect"], timeouts["read"]),
                )
        except BaseException:
            self._in_flight -= 1
            raise
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_ResponseStream(self, response, request),
        )

    def release(self) -> None:
        """A response has ended."""
        self._in_flight -= 1

    async def aclose(self) -> None:
        await self._session.close()
        await self._closing_session.close()


class _ResponseStream(httpx.AsyncByteStream):
    """The body of a response. One that is not read to its end closes its connection."""

    def __init__(
        self, connections: ReadConnections, response: aiohttp.ClientResponse, request: httpx.Request
    ) -> None:
        self._connections = connections
        self._response = response
        self._request = request
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            with _httpx_errors(self._request):
                async for part in self._response.content.iter_any():
                    yield part
        except BaseException:  # such as the deadline of the call: nobody closes it then
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._response.release()
            self._connections.release()


def _new_session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )
    # It would send a request again by itself, and the log would not know of the first attempt.
    session._retry_connection = False  # noqa: SLF001 - as its own test client does
    return session


@contextmanager
def _httpx_errors(request: httpx.Request) -> Iterator[None]:
    """Raises the errors that httpx's own transport would raise, with the same causes."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time", request=request) from error
    except asyncio.TimeoutError as error:  # noqa: UP041 - aiohttp's is one
        raise httpx.ReadTimeout("no answer in time", request=request) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise httpx.ConnectError("certificate", request=request) from error.certificate_error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError("no connection", request=request) from error.os_error
    except aiohttp.ClientOSError as error:
        raise httpx.ReadError("connection lost", request=request) from error
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError("broken answer", request=request) from error


@lru_cache(maxsize=64)
def _timeout(connect: float, read: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read)


@lru_cache(maxsize=256)
def _parse_url(text: str) -> yarl.URL:
    """As it is: it is encoded already."""
    return yarl.URL(text, encoded=True)
