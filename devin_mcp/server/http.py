"""Streamable HTTP at /mcp, both protocol revisions, no sessions to stick to, on loopback."""

from __future__ import annotations

from typing import Any

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from sse_starlette.sse import AppStatus
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from devin_mcp import __version__
from devin_mcp.listen import is_loopback, listen, run
from devin_mcp.log import event
from devin_mcp.server.app import Ending
from devin_mcp.server.build import build
from devin_mcp.settings import BadSetting, Settings

PATH = "/mcp"
GRACE = 10
"""Seconds from the signal to the end: most of it for calls, the rest for writes whose callers are gone."""
GRACE_FOR_WRITES = 3


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status; raises BadSetting for an address that cannot be used."""
    if not is_loopback(settings.host):
        raise BadSetting(
            f"--host {settings.host} is not a loopback address: callers cannot be told apart yet, "
            "so anybody who reaches it would spend your ACUs; use 127.0.0.1"
        )
    # It would cut every answer that is being streamed at the first signal, grace or not; ours end at the end of it.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # sse-starlette leaves it untyped
    ending = Ending()
    server = build(settings, "http", grace=GRACE_FOR_WRITES, ending=ending)
    listener, address = listen(settings.host, settings.port)
    event("serving", url=f"{address}{PATH}", version=__version__, sandbox=settings.sandbox)
    run(http_app(server, host=settings.host), listener, grace=GRACE - GRACE_FOR_WRITES, ending=ending.begin)
    return 0


def http_app(server: MCPServer[Any], *, host: str = "127.0.0.1", stateless: bool = True, **options: Any) -> ASGIApp:
    """The ASGI application. `options` go to the SDK's own application."""
    names = list(dict.fromkeys(["127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host]))
    security = TransportSecuritySettings(
        allowed_hosts=[*names, *(f"{name}:*" for name in names)],
        allowed_origins=[f"http://{name}{port}" for name in names for port in ("", ":*")],
    )
    inner = server.streamable_http_app(
        streamable_http_path=PATH, stateless_http=stateless, transport_security=security, **options
    )
    return _NoAnonymousStreams(inner) if stateless else inner


class _NoAnonymousStreams:
    """Without sessions the SDK answers GET with a stream that never ends; both official clients are content with 405."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] != "POST":
            refusal = PlainTextResponse("Only POST is served here.\n", status_code=405, headers={"allow": "POST"})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
