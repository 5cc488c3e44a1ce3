"""The ASGI application, in layers: paths, CORS, POST only, authentication, limits, the SDK."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import INVALID_REQUEST
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devin_mcp.api.clock import RealClock
from devin_mcp.api.memory import MemoryBudget
from devin_mcp.server.context import Identify
from devin_mcp.server.http.app_sessions import AppSessions
from devin_mcp.server.http.auth import OUR_HEADERS, Authenticator, AuthMiddleware
from devin_mcp.server.http.call_rate import CallRate
from devin_mcp.server.http.limits import (
    BODY_TIMEOUT,
    MAX_CALLS_BYTES,
    REVALIDATE_SECONDS,
    Limits,
)
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.server.identity import IDENTITY_KEY, Identity

PATH = "/mcp"
JSON_TYPE = "application/json"
_MEDIA_TYPES = (b"accept", b"content-type")
CORS_HEADERS = (
    "authorization",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    *OUR_HEADERS,
)
"""Request headers that a web page of an allowed origin may send."""
CORS_METHODS = ("POST", "GET", "DELETE")
"""Those of the MCP transport. A page that may not try one could not read the 405 either."""


def identity_from_scope(own: Identity) -> Identify:
    """Reads the Identity that AuthMiddleware attached; `own` where there is no HTTP request
    (clients in memory).
    """

    def identify(ctx: Any) -> Identity:
        request = ctx.request
        if request is None:
            return own
        identity: Identity | None = request.scope.get(IDENTITY_KEY)
        if identity is None:
            raise MCPError(INVALID_REQUEST, "The request has no authenticated caller.")
        return identity

    return identify


def http_app(
    server: MCPServer[Any],
    authenticator: Authenticator,
    *,
    allowed_hosts: Collection[str] | None,
    allowed_origins: Collection[str] = (),
    max_calls_per_caller: int = 16,
    rate: CallRate | None = None,
    body_timeout: float = BODY_TIMEOUT,
    revalidate_seconds: float = REVALIDATE_SECONDS,
    memory: MemoryBudget | None = None,
    public_routes: Sequence[Route] = (),
    stateless: bool = True,
    **options: Any,
) -> ASGIApp:
    """The application around `server`.

    `allowed_hosts` None accepts any Host header; `public_routes` need no caller; `body_timeout` is
    in seconds; `memory` bounds what all calls hold. `stateless` and `options` go to the SDK's
    application: the conformance suite needs sessions, this server does not.
    """
    # AuthMiddleware checks Host and Origin: the SDK can only check both or neither.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    sdk_app = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=stateless,
        transport_security=unchecked,
        **options,
    )
    # Without the SDK's routes and its own limit of the body: both are done here.
    limits = Limits(
        AppSessions(_MediaTypes(server.session_manager.handle_request)),
        max_calls_per_caller=max_calls_per_caller,
        rate=rate or CallRate(0, RealClock()),
        body_timeout=body_timeout,
        revalidate_seconds=revalidate_seconds,
        memory=memory or MemoryBudget(MAX_CALLS_BYTES),
    )
    mcp_app: ASGIApp = AuthMiddleware(limits, authenticator, allowed_hosts, allowed_origins)
    if stateless:
        mcp_app = _PostOnly(mcp_app)
    # CORSMiddleware compares whole origins, so a pattern such as `http://localhost:*` gets no CORS
    # headers.
    cors_origins = [origin for origin in allowed_origins if not origin.endswith(":*")]
    if cors_origins:
        mcp_app = CORSMiddleware(
            mcp_app,
            allow_origins=cors_origins,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_HEADERS,
            expose_headers=["www-authenticate", "retry-after", "mcp-session-id"],
        )
    return _PathRouter(mcp_app, Router(public_routes), lifespan=sdk_app)


class _PathRouter:
    """Sends /mcp to the authenticated application and everything else to the public routes, which
    accept no bodies.
    """

    def __init__(self, mcp_app: ASGIApp, public_app: ASGIApp, *, lifespan: ASGIApp) -> None:
        self._mcp_app = mcp_app
        self._public_app = public_app
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        is_mcp = scope["path"] in {PATH, f"{PATH}/"}
        if _has_body(scope) and not (is_mcp and scope["method"] == "POST"):
            rejection = RequestRejected(400, "unwanted_body", "Only POST /mcp takes a body.")
            await rejection.send_response(scope, receive, send)
        elif is_mcp:
            await self._mcp_app(scope, receive, send)
        else:
            await self._public_app(scope, receive, send)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


class _MediaTypes:
    """Media types are compared in any letter case (RFC 9110 §8.3.1), and a refused one is named.

    The SDK compares the exact text, and refuses some without a word.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        media_types = {
            name: b", ".join(text for other, text in headers if other == name).lower()
            for name in _MEDIA_TYPES
        }
        content_type = media_types[b"content-type"].partition(b";")[0].strip()
        if scope["method"] == "POST" and content_type != JSON_TYPE.encode():
            rejection = RequestRejected(415, "content_type", f"Content-Type must be {JSON_TYPE}.")
            await rejection.send_response(scope, _no_more_body, send)
            return
        is_refused = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                is_refused = message["status"] == HTTPStatus.NOT_ACCEPTABLE
            if not is_refused:
                await send(message)

        others = [header for header in headers if header[0] not in _MEDIA_TYPES]
        scope = {**scope, "headers": [*others, *media_types.items()]}
        await self._app(scope, receive, send_unless_refused)
        if is_refused:
            rejection = RequestRejected(
                406, "accept", f"Accept must name both {JSON_TYPE} and text/event-stream."
            )
            await rejection.send_response(scope, _no_more_body, send)


async def _no_more_body() -> Message:
    """A `receive` for a body that Limits has read."""
    return {"type": "http.request", "body": b"", "more_body": False}


class _PostOnly:
    """Answers 405 to every other method.

    Without sessions the SDK would answer GET with a stream that never ends; both official clients
    accept the 405.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            response = PlainTextResponse(
                "Only POST is served here.\n", status_code=405, headers={"allow": "POST"}
            )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)
