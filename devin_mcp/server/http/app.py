"""The ASGI application, from the outside in: CORS, only POST, the door, the limits, the SDK's own transport."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import INVALID_REQUEST
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from devin_mcp.server.context import Identify
from devin_mcp.server.http.auth import IDENTITY_KEY, OUR_HEADERS, Authenticator, AuthMiddleware
from devin_mcp.server.http.limits import BODY_TIMEOUT, MAX_BODY_BYTES, Limits
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.server.identity import Identity

PATH = "/mcp"
MCP_HEADERS = ("authorization", "mcp-protocol-version", "mcp-method", "mcp-name", *OUR_HEADERS)


def identity_from_scope(own: Identity) -> Identify:
    """Who asks, as the door found; in memory, where there is no door, everybody is the server's own."""

    def identify(ctx: Any) -> Identity:
        request = ctx.request
        if request is None:
            return own
        identity: Identity | None = request.scope.get(IDENTITY_KEY)
        if identity is None:
            raise MCPError(INVALID_REQUEST, "Nobody is known to ask.")
        return identity

    return identify


def http_app(
    server: MCPServer[Any],
    mode: Authenticator,
    *,
    hosts: Collection[str] | None,
    origins: Collection[str] = (),
    most: int = 16,
    for_a_body: float = BODY_TIMEOUT,
    routes: Sequence[Route] = (),
    stateless: bool = True,
    **options: Any,
) -> ASGIApp:
    """`hosts`, `origins` and `mode` are the door's, `most` the calls of one caller, `for_a_body` the seconds
    that a request's body may take, `routes` what needs no caller.

    `options` go to the SDK's own application, as `stateless` does: the conformance suite wants sessions, we do not.
    """
    # Host and Origin are checked at the door: the SDK can only check both or neither.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    inner = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=stateless,
        transport_security=unchecked,
        max_request_body_size=MAX_BODY_BYTES,
        **options,
    )
    guarded: ASGIApp = AuthMiddleware(
        Limits(inner, most, for_a_body=for_a_body), mode, hosts, origins
    )
    if stateless:
        guarded = _PostOnly(guarded)
    if origins := [one for one in origins if not one.endswith(":*")]:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=origins,
            allow_methods=["POST"],
            allow_headers=MCP_HEADERS,
            expose_headers=["www-authenticate", "retry-after"],
        )
    return _PathRouter(guarded, Router(routes), inner)


class _PathRouter:
    """What is at /mcp has to pass the door; besides it there are only probes and metadata, which take no bodies."""

    def __init__(self, guarded: ASGIApp, open_to_all: ASGIApp, lifespan: ASGIApp) -> None:
        self._guarded = guarded
        self._open_to_all = open_to_all
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        # Compared here and never matched again: the SDK's own route also takes a path with a line break behind it.
        is_ours = scope["path"] in {PATH, f"{PATH}/"}
        if _has_body(scope) and not (is_ours and scope["method"] == "POST"):
            await RequestRejected(400, "unwanted_body", "Only POST /mcp takes a body.").answer(
                scope, receive, send
            )
        elif is_ours:
            await self._guarded({**scope, "path": PATH, "raw_path": PATH.encode()}, receive, send)
        else:
            await self._open_to_all(scope, receive, send)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


class _PostOnly:
    """Without sessions the SDK answers GET with a stream that never ends; both official clients are content with 405."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            refusal = PlainTextResponse(
                "Only POST is served here.\n", status_code=405, headers={"allow": "POST"}
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
