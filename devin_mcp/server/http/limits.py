"""How much one caller may ask at once, and how long a request may take to arrive."""

from __future__ import annotations

import asyncio
from collections import Counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devin_mcp.server.http.door import SCOPE
from devin_mcp.server.http.refusals import TurnedAway
from devin_mcp.server.identity import Identity

MOST_STREAMS = 8
"""Listen streams of one caller: they cost nothing while nothing happens, and some hosts open one at once."""
LARGEST_BODY = 4 * 1024 * 1024
FOR_A_BODY = 20.0
"""Seconds for a request's body to arrive. Slow headers are the proxy's business (docs/operating.md)."""
LARGEST_HEAD = 32 * 1024
"""Bytes of request line and headers."""

_LISTEN = "subscriptions/listen"


class Limits:
    """ASGI middleware inside the door, which says whose the request is."""

    def __init__(self, app: ASGIApp, most: int, *, for_a_body: float = FOR_A_BODY) -> None:
        """`most` calls of one caller are served at once."""
        self._app = app
        self._most = most
        self._for_a_body = for_a_body
        self._calls: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity: Identity = scope[SCOPE]
        # The SDK refuses a request whose header names another method than its body.
        listens = Headers(scope=scope).get("mcp-method") == _LISTEN
        counter, most = (self._streams, MOST_STREAMS) if listens else (self._calls, self._most)
        whose = identity.principal
        try:
            if counter[whose] >= most:
                raise _too_many(listens=listens, most=most)
            counter[whose] += 1
            try:
                body = await self._body(Headers(scope=scope), receive)
                if body is not None:
                    await self._app(scope, _after(body, receive), send)
            finally:
                counter[whose] -= 1
                if not counter[whose]:
                    del counter[whose]
        except TurnedAway as refusal:
            await refusal.answer(scope, receive, send)

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """All of it, or None when the client leaves before. Read here, so that a slow sender holds nothing else."""
        declared = headers.get("content-length", "0")
        body = bytearray()
        try:
            async with asyncio.timeout(self._for_a_body):
                while True:
                    if len(body) > LARGEST_BODY or (declared.isdecimal() and int(declared) > LARGEST_BODY):
                        raise TurnedAway(413, "large_body", f"A request may have {LARGEST_BODY} bytes; upload files elsewhere.")
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    body += message.get("body", b"")
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise TurnedAway(408, "slow_body", f"The request's body took longer than {self._for_a_body:g} seconds.") from None


def _too_many(*, listens: bool, most: int) -> TurnedAway:
    if listens:
        return TurnedAway(429, "streams", f"You have {most} listen streams open, the most for one caller.", {"retry-after": "60"})
    text = f"You have {most} calls in flight, the most for one caller (--max-concurrent). Wait for one to end."
    return TurnedAway(429, "concurrency", text, {"retry-after": "1"})


def _after(body: bytes, receive: Receive) -> Receive:
    """The body as one message, and what comes after it: that the client left, whenever that is."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay
