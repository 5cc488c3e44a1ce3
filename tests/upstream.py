"""The fake Devin: the sandbox behind a real socket, with faults queued per request.

Faults happen on the wire: connections closed, replies lost after the work was done, truncated
bodies, HTML pages. Nothing in devin-mcp is patched.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from devin_mcp.keys import DevinApi
from devin_mcp.sandbox import Sandbox
from tests.endpoints import endpoints_of, path_pattern

KEY = "apk_sandbox-test-0123456789"
V3_KEY = "cog_sandbox-test-0123456789"
"""Of the same organization as KEY."""
PASSED_ON = ("content-type", "location")
KEYS: dict[DevinApi, str] = {"v1": KEY, "v3": V3_KEY}


@dataclass
class ReceivedRequest:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Fault = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request being answered."""

    request: ReceivedRequest
    writer: asyncio.StreamWriter
    forward: Callable[[ReceivedRequest], Awaitable[httpx.Response]]

    async def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.writer.write(head(status, {"content-length": str(len(body)), **headers}) + body)
        await self.writer.drain()


def head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(status: int, body: Any = None, **headers: str) -> Fault:
    """Answer without forwarding. `body` is sent as JSON unless it is bytes; an error without a body
    has the shape of Devin's (v1.md §8).
    """
    if body is None and status >= 400:
        body = {"detail": "No reason given"}

    async def fault(exchange: Exchange) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        await exchange.reply(status, data, {"content-type": "application/json", **fields})

    return fault


def page(status: int = 200) -> Fault:
    """An HTML page, as a proxy sends it."""
    return answer(
        status, b"<html><body>Sign in to the network</body></html>", content_type="text/html"
    )


async def lose_reply(exchange: Exchange) -> None:
    """Do the work and lose the reply."""
    await exchange.forward(exchange.request)
    exchange.writer.close()


async def drop_connection(exchange: Exchange) -> None:
    """Close the connection without doing anything; for the caller it looks like `lose_reply`."""
    exchange.writer.close()


async def never_answer(exchange: Exchange) -> None:
    """Do the work and never answer."""
    await exchange.forward(exchange.request)
    with suppress(ConnectionError):
        await exchange.writer.wait_closed()


async def cut_reply(exchange: Exchange) -> None:
    """Do the work and send half of the reply's body."""
    response = await exchange.forward(exchange.request)
    exchange.writer.write(
        head(
            response.status_code,
            {"content-length": str(len(response.content)), "content-type": "application/json"},
        )
    )
    exchange.writer.write(response.content[: len(response.content) // 2])
    await exchange.writer.drain()
    exchange.writer.close()


def delay_reply(gate: asyncio.Event) -> Fault:
    """Do the work at once and answer when the gate is set."""

    async def fault(exchange: Exchange) -> None:
        response = await exchange.forward(exchange.request)
        await gate.wait()
        with suppress(ConnectionError):
            await exchange.reply(
                response.status_code, response.content, {"content-type": "application/json"}
            )

    return fault


def delay_work(gate: asyncio.Event) -> Fault:
    """Wait until the gate is set, then do the work and answer."""

    async def fault(exchange: Exchange) -> None:
        await gate.wait()
        response = await exchange.forward(exchange.request)
        with suppress(ConnectionError):
            await exchange.reply(
                response.status_code, response.content, {"content-type": "application/json"}
            )

    return fault


@dataclass
class Upstream:
    """The listening side. A queued fault answers the next request of its method and path."""

    sandbox: Sandbox = field(default_factory=Sandbox)
    requests: list[ReceivedRequest] = field(default_factory=list)
    in_flight: int = 0
    """Requests that are not answered yet."""
    port: int = 0
    _faults: list[tuple[str, re.Pattern[str], deque[Fault]]] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    fake_sessions: dict[str, Any] = field(default_factory=dict)
    """Session id -> a FakeSession that a test serves (fake_session.py)."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, method: str, path: str, *faults: Fault) -> None:
        self._faults.append((method, re.compile(path), deque(faults)))

    def fail_operation(self, operation_id: str, *faults: Fault) -> None:
        """Queue faults for the requests of an operation, on either API."""
        for endpoint in endpoints_of(operation_id):
            self.fail(endpoint.method, path_pattern(endpoint), *faults)

    def sent(self, operation_id: str) -> list[ReceivedRequest]:
        """The requests of an operation that have arrived, on either API."""
        return [
            request
            for request in self.requests
            for endpoint in endpoints_of(operation_id)
            if request.method == endpoint.method
            and re.fullmatch(path_pattern(endpoint), request.path)
        ]

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._writers)

    def clear_faults(self) -> None:
        self._faults.clear()

    def count(self, method: str, path: str = ".*") -> int:
        return sum(
            request.method == method and re.fullmatch(path, request.path) is not None
            for request in self.requests
        )

    async def wait_for(self, method: str, path: str, count: int = 1) -> None:
        """Wait until `count` such requests have arrived."""
        while self.count(method, path) < count:
            self.arrived.clear()
            await self.arrived.wait()

    async def wait_for_operation(self, operation_id: str, count: int = 1) -> None:
        """Wait until `count` requests of an operation or lookup have arrived."""
        while len(self.sent(operation_id)) < count:
            self.arrived.clear()
            await self.arrived.wait()

    @property
    def organization(self) -> Any:
        """The organization of the tests' key: what was really created and changed."""
        return self.sandbox.organization(KEY)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._app = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.sandbox.app()), base_url=self.url
        )

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        with suppress(ConnectionError):
            await self._server.wait_closed()
        self._server = None
        await self._app.aclose()

    async def _forward(self, request: ReceivedRequest) -> httpx.Response:
        query = f"?{request.query}" if request.query else ""
        dropped = {"accept-encoding", "connection"}
        headers = {name: text for name, text in request.headers.items() if name not in dropped}
        return await self._app.request(
            request.method, request.path + query, headers=headers, content=request.body
        )

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while not writer.is_closing():
                request = await read_request(reader)
                self.requests.append(request)
                self.arrived.set()
                self.in_flight += 1
                try:
                    await self._answer(Exchange(request, writer, self._forward))
                finally:
                    self.in_flight -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, exchange: Exchange) -> None:
        request = exchange.request
        if (fault := self._next_fault(request)) is not None:
            await fault(exchange)
            return
        response = await self._forward(request)
        headers = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
        await exchange.reply(response.status_code, response.content, headers)

    def _next_fault(self, request: ReceivedRequest) -> Fault | None:
        for method, pattern, faults in self._faults:
            if faults and method == request.method and pattern.fullmatch(request.path):
                return faults.popleft()
        return None


async def read_request(reader: asyncio.StreamReader) -> ReceivedRequest:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return ReceivedRequest(method, parts.path, parts.query, headers, body)


@asynccontextmanager
async def start_upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.stop()
