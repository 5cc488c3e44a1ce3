"""How much one caller may ask at once, and how long a request may take to arrive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devin_mcp.observability.log import event
from devin_mcp.server.http.auth import IDENTITY_KEY
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.server.identity import Identity

MAX_STREAMS_PER_CALLER = 8
"""Listen streams of one caller: they cost nothing while nothing happens, and some hosts open one at once."""
MAX_STREAMS = 1000
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_BODIES_BYTES = 64 * 1024 * 1024
"""Streams, and bytes of requests, that one process holds for all callers: keys can be made up."""
BODY_TIMEOUT = 20.0
"""Seconds for a request's body to arrive. Slow headers are the proxy's business (docs/operating.md)."""
REVALIDATE_SECONDS = 5.0
"""Seconds between looks whether who listens would still be let in."""
MAX_HEAD_BYTES = 32 * 1024
"""Bytes of request line and headers."""

_LISTEN = "subscriptions/listen"


class Limits:
    """ASGI middleware inside the door, which says whose the request is."""

    def __init__(self, app: ASGIApp, most: int, *, for_a_body: float = BODY_TIMEOUT) -> None:
        """`most` calls of one caller are served at once."""
        self._app = app
        self._most = most
        self._for_a_body = for_a_body
        self._calls: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._held = 0
        """Bytes of bodies that are being received."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity: Identity = scope[IDENTITY_KEY]
        # The SDK refuses a request whose header names another method than its body.
        listens = Headers(scope=scope).get("mcp-method") == _LISTEN
        counter, most = (
            (self._streams, MAX_STREAMS_PER_CALLER) if listens else (self._calls, self._most)
        )
        whose = identity.principal
        try:
            if counter[whose] >= most:
                raise _too_many(listens=listens, most=most)
            if listens and self._streams.total() >= MAX_STREAMS:
                raise RequestRejected(
                    503,
                    "streams",
                    "This server has as many listen streams as it can hold.",
                    {"retry-after": "60"},
                )
            counter[whose] += 1
            try:
                body = await self._body(Headers(scope=scope), receive)
                if body is None:
                    return
                serving = self._app(scope, _after(body, receive), send)
                await (_as_long_as(identity.is_still_valid, serving) if listens else serving)
            finally:
                counter[whose] -= 1
                if not counter[whose]:
                    del counter[whose]
        except RequestRejected as refusal:
            await refusal.answer(scope, receive, send)

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """All of it, or None when the client leaves before. Read here, so that a slow sender holds nothing else."""
        declared = headers.get("content-length", "0")
        body = bytearray()
        try:
            async with asyncio.timeout(self._for_a_body):
                while True:
                    if len(body) > MAX_BODY_BYTES or (
                        declared.isdecimal() and int(declared) > MAX_BODY_BYTES
                    ):
                        raise RequestRejected(
                            413,
                            "large_body",
                            f"A request may have {MAX_BODY_BYTES} bytes; upload files elsewhere.",
                        )
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    part = message.get("body", b"")
                    if self._held + len(part) > MAX_BODIES_BYTES:
                        text, last = (
                            "This server is receiving as much as it can hold.",
                            not message.get("more_body", False),
                        )
                        raise RequestRejected(
                            503, "bodies", text, {"retry-after": "1"}, at_once=last
                        )
                    body += part
                    self._held += len(part)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            text = f"The request's body took longer than {self._for_a_body:g} seconds."
            raise RequestRejected(408, "slow_body", text, at_once=True) from None
        except asyncio.CancelledError:  # the server ends; who is still sending has not been heard
            raise RequestRejected(
                503, "ending", "This server is ending; nothing was done.", at_once=True
            ) from None
        finally:
            self._held -= len(body)


async def _as_long_as(is_still_valid: Callable[[], bool], serving: Awaitable[None]) -> None:
    """Serve a stream until its end, or until its caller would not be let in any more."""
    task = asyncio.ensure_future(serving)
    try:
        while not (await asyncio.wait({task}, timeout=REVALIDATE_SECONDS))[0]:
            if not is_still_valid():
                event("http_rejected", level="warning", status=403, reason="no_longer")
                break
        else:
            await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def _too_many(*, listens: bool, most: int) -> RequestRejected:
    if listens:
        return RequestRejected(
            429,
            "streams",
            f"You have {most} listen streams open, the most for one caller.",
            {"retry-after": "60"},
        )
    text = f"You have {most} calls in flight, the most for one caller (--max-calls-per-caller). Wait for one to end."
    return RequestRejected(429, "concurrency", text, {"retry-after": "1"})


def _after(body: bytes, receive: Receive) -> Receive:
    """The body as one message, and what comes after it: that the client left, whenever that is."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay
