"""Limits per caller and per process: concurrent calls, listen streams, request bodies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devin_mcp.api.json_scan import JsonScanner, TooManyValues
from devin_mcp.api.memory import MIB, HeldMemory, MemoryBudget, MemoryExceeded, current_memory
from devin_mcp.observability.log import event
from devin_mcp.server.confirmation import FIRST_STATELESS_REVISION
from devin_mcp.server.http.call_rate import CallRate
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.server.identity import IDENTITY_KEY, Identity

MAX_STREAMS_PER_CALLER = 8
"""Listen streams are counted apart from calls: an idle one costs nothing, and some hosts open one
at the start.
"""
MAX_STREAMS = 1000
MAX_BODY_BYTES = 4 * MIB
MAX_BODY_VALUES = 50_000
"""JSON values of a request: decoding more would stop all other calls for too long."""
MAX_CALLS_BYTES = 256 * MIB
"""What all calls hold until they have ended: bodies as received, decoded and encoded, and Devin's
responses. MAX_STREAMS and this are per process, because callers can invent keys."""
MAX_STREAMS_BYTES = 32 * MIB
"""The same of all listen streams, which may stay open for hours."""
BODY_COPIES = 4
"""The SDK keeps a body twice, the text of its arguments is another copy, and what is sent to Devin
may be one more."""
WIDE_BODY_COPIES = 7
"""One character outside of Latin-1 makes Python store a whole text with up to four bytes each."""
VALUE_BYTES = 100
"""Of a JSON value as an object, besides its text."""
BODY_TIMEOUT = 20.0
"""Seconds for a body to arrive. Slow headers are left to the proxy (docs/operating.md)."""
REVALIDATE_SECONDS = 5.0
"""Interval at which the credential behind an open listen stream is checked again."""
MAX_HEAD_BYTES = 32 * 1024
"""Bytes of request line and headers."""

_LISTEN_METHOD = "subscriptions/listen"


class Limits:
    """ASGI middleware behind AuthMiddleware, which identifies the caller."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_calls_per_caller: int,
        rate: CallRate,
        body_timeout: float = BODY_TIMEOUT,
        revalidate_seconds: float = REVALIDATE_SECONDS,
        memory: MemoryBudget,
    ) -> None:
        self._app = app
        self._memory = memory
        self._stream_memory = MemoryBudget(MAX_STREAMS_BYTES)
        self._max_calls_per_caller = max_calls_per_caller
        self._rate = rate
        self._body_timeout = body_timeout
        self._revalidate_seconds = revalidate_seconds
        self._calls: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity: Identity = scope[IDENTITY_KEY]
        is_listen = _is_listen(Headers(scope=scope))
        counter = self._streams if is_listen else self._calls
        principal = identity.principal
        memory = (self._stream_memory if is_listen else self._memory).hold()
        current_memory.set(memory)
        try:
            self._check_count(principal, is_listen=is_listen)
            await self._rate.check(principal)
            counted = _Counted(counter, principal, send)
            try:
                body = await self._read_body(Headers(scope=scope), receive, memory)
                if body is None:
                    return
                response = self._app(scope, _replay(body, receive), counted.send)
                del body  # the SDK has copies
                if is_listen:
                    await self._serve_while_valid(response, identity, counted)
                else:
                    await response
            finally:
                memory.release()
                counted.end()
        except RequestRejected as rejection:
            await rejection.send_response(scope, receive, send)

    def _check_count(self, principal: str, *, is_listen: bool) -> None:
        if not is_listen:
            if self._calls[principal] >= self._max_calls_per_caller:
                raise RequestRejected(
                    429,
                    "concurrency",
                    f"You have {self._max_calls_per_caller} calls in flight, the most for one "
                    "caller (--max-calls-per-caller). Wait for one to end.",
                    {"retry-after": "1"},
                )
            return
        if self._streams[principal] >= MAX_STREAMS_PER_CALLER:
            raise RequestRejected(
                429,
                "streams",
                f"You have {MAX_STREAMS_PER_CALLER} listen streams open, the most for one caller.",
                {"retry-after": "60"},
            )
        if self._streams.total() >= MAX_STREAMS:
            raise RequestRejected(
                503,
                "streams",
                "This server has as many listen streams as it can hold.",
                {"retry-after": "60"},
            )

    async def _read_body(
        self, headers: Headers, receive: Receive, memory: HeldMemory
    ) -> bytes | None:
        """The whole body, or None when the client disconnects first.

        It is read here, before the request occupies anything in the SDK, so that a slow sender
        holds nothing else.
        """
        declared_size = headers.get("content-length", "0")
        if declared_size.isdecimal() and int(declared_size) > MAX_BODY_BYTES:
            raise _too_large()
        body, scanner, is_last = bytearray(), JsonScanner(MAX_BODY_VALUES), False
        try:
            async with asyncio.timeout(self._body_timeout):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    chunk = message.get("body", b"")
                    is_last = not message.get("more_body", False)
                    self._hold(memory, len(chunk) * BODY_COPIES, is_last=is_last)
                    scanner.feed(chunk)
                    body += chunk
                    if is_last:
                        _check_encoding(body)
                        self._hold_decoded(memory, body, scanner)
                        return bytes(body)
                    if len(body) > MAX_BODY_BYTES:
                        raise _too_large()
        except TooManyValues:
            raise RequestRejected(
                413,
                "large_body",
                f"A request may have {MAX_BODY_VALUES} JSON values.",
                close_at_once=is_last,  # nothing more will come
            ) from None
        except TimeoutError:
            raise RequestRejected(
                408,
                "slow_body",
                f"The request's body took longer than {self._body_timeout:g} seconds.",
                close_at_once=True,
            ) from None
        except asyncio.CancelledError:  # the server shuts down, and this request was not acted on
            raise RequestRejected(
                503, "ending", "This server is ending; nothing was done.", close_at_once=True
            ) from None
        finally:
            body.clear()  # the error's traceback refers to it

    def _hold_decoded(self, memory: HeldMemory, body: bytearray, scanner: JsonScanner) -> None:
        """Hold what decoding adds to the copies of the body."""
        is_wide = not body.isascii() or b"\\u" in body
        wide_bytes = (WIDE_BODY_COPIES - BODY_COPIES) * len(body) if is_wide else 0
        self._hold(memory, wide_bytes + scanner.values * VALUE_BYTES, is_last=True)

    def _hold(self, memory: HeldMemory, size: int, *, is_last: bool) -> None:
        """Raises RequestRejected if the calls of the process hold too much already."""
        try:
            memory.add(size)
        except MemoryExceeded:
            raise RequestRejected(
                503,
                "memory",
                "This server holds as much as it can; nothing was done.",
                {"retry-after": "1"},
                close_at_once=is_last,
            ) from None

    async def _serve_while_valid(
        self, response: Awaitable[None], identity: Identity, counted: _Counted
    ) -> None:
        """Serve a stream until it ends, or until the caller's credential is no longer valid."""
        task = asyncio.ensure_future(response)
        try:
            while not (await asyncio.wait({task}, timeout=self._revalidate_seconds))[0]:
                if not identity.is_still_valid():
                    event("stream_closed", level="warning", why="credential", **identity.who)
                    break
            else:
                await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        await counted.complete()


class _Counted:
    """Counts a request until the last part of its response is sent: a caller that has it may send
    the next request, however long this one takes to end here.
    """

    def __init__(self, counter: Counter[str], principal: str, send: Send) -> None:
        self._counter = counter
        self._principal = principal
        self._send = send
        self._has_started = self._has_ended = False
        counter[principal] += 1

    async def send(self, message: Message) -> None:
        self._has_started = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.end()
        await self._send(message)

    async def complete(self) -> None:
        """Send the end of a response that was cut off."""
        if self._has_started and not self._has_ended:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    def end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._counter[self._principal] -= 1
        if not self._counter[self._principal]:
            del self._counter[self._principal]


def _is_listen(headers: Headers) -> bool:
    """The header can be trusted where the SDK compares it with the body: in revisions that have the
    method. Revisions are dates.
    """
    is_modern = headers.get("mcp-protocol-version", "") >= FIRST_STATELESS_REVISION
    return is_modern and headers.get("mcp-method") == _LISTEN_METHOD


def _check_encoding(body: bytearray) -> None:
    """Raises RequestRejected for UTF-16 and UTF-32, which the SDK would decode, too: their values
    were not counted.
    """
    if b"\0" in body:
        raise RequestRejected(
            400, "encoding", "The request's body must be JSON in UTF-8.", close_at_once=True
        )


def _too_large() -> RequestRejected:
    return RequestRejected(
        413, "large_body", f"A request may have {MAX_BODY_BYTES} bytes; upload files elsewhere."
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body as one message and then whatever the client sends, such as
    a disconnect.
    """
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
