"""Saying no before a request is looked at: a status, and a sentence that the person at the client gets to read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from mcp.types import INVALID_REQUEST, ErrorData, JSONRPCError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from devin_mcp.observability.log import event

FOR_THE_REST = 2.0
MOST_OF_THE_REST = 16 * 1024 * 1024
"""Seconds and bytes for which the body of a refused request is let pass."""


class RequestRejected(Exception):
    """`reason` is a word for log and metrics; `text` is for the caller and holds nothing they sent."""

    def __init__(
        self,
        status: int,
        reason: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        """`at_once` when what is still being sent is not to be waited for."""
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text
        self.headers = headers or {}
        self.at_once = at_once

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As a JSON-RPC error, which clients show; without an id, since the body was not read."""
        peer = scope["client"][0] if scope.get("client") else None
        event("http_rejected", level="warning", status=self.status, reason=self.reason, peer=peer)
        error = JSONRPCError(
            jsonrpc="2.0", id=None, error=ErrorData(code=INVALID_REQUEST, message=self.text)
        )
        body = error.model_dump_json(by_alias=True, exclude={"error": {"data"}})
        # A connection that is closed under a client that still sends loses the answer, so what it sends is let pass.
        close = {} if not self.at_once and await _passed(receive) else {"connection": "close"}
        response = Response(body, self.status, {**self.headers, **close}, "application/json")
        await response(scope, receive, send)


async def _passed(receive: Receive) -> bool:
    """Whether the rest of the request came soon enough."""
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(FOR_THE_REST):
            while size < MOST_OF_THE_REST:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return True
    return False
