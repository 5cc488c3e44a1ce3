"""The ASGI application, from the outside in: CORS, only POST, the door, the limits, the SDK's own transport."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from devin_mcp.server.app import Identify
from devin_mcp.server.http.door import OURS, SCOPE, Door, Mode
from devin_mcp.server.http.limits import FOR_A_BODY, LARGEST_BODY, Limits
from devin_mcp.server.identity import Identity

PATH = "/mcp"
MCP_HEADERS = ("authorization", "mcp-protocol-version", "mcp-method", "mcp-name", *OURS)


def from_the_door(own: Identity) -> Identify:
    """Who asks, as the door found; in memory, where there is no door, everybody is the server's own."""

    def identify(ctx: Any) -> Identity:
        request = ctx.request
        if request is None:
            return own
        identity: Identity = request.scope[SCOPE]
        return identity

    return identify


def http_app(
    server: MCPServer[Any],
    mode: Mode,
    *,
    hosts: Collection[str] | None,
    origins: Collection[str] = (),
    most: int = 16,
    for_a_body: float = FOR_A_BODY,
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
        streamable_http_path=PATH, stateless_http=stateless, transport_security=unchecked,
        max_request_body_size=LARGEST_BODY, **options,
    )  # fmt: skip
    inner.router.routes.extend(routes)
    guarded: ASGIApp = Door(Limits(inner, most, for_a_body=for_a_body), mode, hosts, origins)
    if stateless:
        guarded = _OnlyPost(guarded)
    if origins := [one for one in origins if not one.endswith(":*")]:
        guarded = CORSMiddleware(
            guarded, allow_origins=origins, allow_methods=["POST"], allow_headers=MCP_HEADERS,
            expose_headers=["www-authenticate", "retry-after"],
        )  # fmt: skip
    return _Fork(guarded, inner)


class _Fork:
    """What is at /mcp has to pass the door; probes, metadata and the lifespan do not."""

    def __init__(self, guarded: ASGIApp, open_to_all: ASGIApp) -> None:
        self._guarded = guarded
        self._open_to_all = open_to_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._guarded if scope["type"] == "http" and scope["path"].rstrip("/") == PATH else self._open_to_all
        await app(scope, receive, send)


class _OnlyPost:
    """Without sessions the SDK answers GET with a stream that never ends; both official clients are content with 405."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            refusal = PlainTextResponse("Only POST is served here.\n", status_code=405, headers={"allow": "POST"})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
