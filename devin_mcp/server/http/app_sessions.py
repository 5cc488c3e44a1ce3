"""Remembers for clients of older revisions that they render MCP Apps.

Such a client says so once, in `initialize`, and this server has no sessions. So it gets a session
id that says it, and sends that with each request, to whichever replica (2025-11-25, transports).
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devin_mcp.server.apps.extension import APPS, APPS_SESSION, PAGE_TYPE, SESSION_ID_HEADER
from devin_mcp.server.confirmation import FIRST_STATELESS_REVISION


class AppSessions:
    """Adds the session id to the response of an `initialize`. The body comes in one message."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        revision = Headers(scope=scope).get("mcp-protocol-version", "")
        if revision >= FIRST_STATELESS_REVISION:
            await self._app(scope, receive, send)
            return
        first: list[Message] = [await receive()]

        async def receive_again() -> Message:
            return first.pop() if first else await receive()

        async def send_with_session_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                session_id = f"{APPS_SESSION}{secrets.token_hex(16)}"
                MutableHeaders(scope=message)[SESSION_ID_HEADER] = session_id
            await send(message)

        renders_apps = _initializes_with_apps(first[0].get("body", b""))
        await self._app(scope, receive_again, send_with_session_id if renders_apps else send)


def _initializes_with_apps(body: bytes) -> bool:
    if APPS.encode() not in body:
        return False
    try:
        message: Any = json.loads(body)
        types = message["params"]["capabilities"]["extensions"][APPS]["mimeTypes"]
        return message["method"] == "initialize" and PAGE_TYPE in types
    except (ValueError, LookupError, TypeError, RecursionError):
        return False  # the SDK tells what is wrong with it
