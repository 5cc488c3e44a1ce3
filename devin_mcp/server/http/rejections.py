"""Rejects an HTTP request with a status and a sentence, before the SDK reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from mcp.types import INVALID_REQUEST, ErrorData, JSONRPCError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from devin_mcp.observability.log import event
from devin_mcp.server.identity import IDENTITY_KEY, Identity

DRAIN_TIMEOUT = 2.0
MAX_DRAINED_BYTES = 16 * 1024 * 1024
"""Seconds and bytes up to which the body of a rejected request is read and discarded."""


class RequestRejected(Exception):
    """`reason` is a word for log and metrics; `text` is for the caller and repeats nothing that was
    sent.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        *,
        close_at_once: bool = False,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """`close_at_once`: close the connection without reading the rest of the body. `facts` are
        for the log.
        """
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text
        self.headers = headers or {}
        self.close_at_once = close_at_once
        self.facts = facts or {}

    async def send_response(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a JSON-RPC error, which clients show; without an id: the body was not parsed."""
        identity: Identity | None = scope.get(IDENTITY_KEY)
        who = {"peer": peer_of(scope)} if identity is None else identity.who
        facts = {**who, **self.facts}
        event("http_rejected", level="warning", status=self.status, reason=self.reason, **facts)
        error = JSONRPCError(
            jsonrpc="2.0", id=None, error=ErrorData(code=INVALID_REQUEST, message=self.text)
        )
        body = error.model_dump_json(by_alias=True, exclude={"error": {"data"}})
        # A client loses the response when the connection is closed while it still sends, so its
        # body is read first.
        close = self.close_at_once or not await _drain_body(receive)
        headers = {**self.headers, **({"connection": "close"} if close else {})}
        response = Response(body, self.status, headers, "application/json")
        await response(scope, receive, send)


def peer_of(scope: Scope) -> str | None:
    """Address of the client."""
    client = scope.get("client")
    return client[0] if client else None


async def _drain_body(receive: Receive) -> bool:
    """Discard the rest of the body; False when it is too long or too slow."""
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_TIMEOUT):
            while size < MAX_DRAINED_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return True
    return False
