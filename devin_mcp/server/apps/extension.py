"""The session board: a page for hosts that render MCP Apps. Others neither see nor pay for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from mcp.server.extension import Extension
from mcp.types import Annotations, ReadResourceResult, TextResourceContents
from mcp.types import Resource as McpResource

from devin_mcp.operations import Operation
from devin_mcp.operations.messages import send_message
from devin_mcp.operations.sessions.archive import archive_session
from devin_mcp.operations.sessions.listing import list_sessions
from devin_mcp.operations.sessions.tools import get_session
from devin_mcp.operations.waiting.tool import wait_for_sessions
from devin_mcp.server.client_extensions import declared_extension
from devin_mcp.server.context import CallerContext, RequestContext
from devin_mcp.server.visibility import VisibleTools

APPS = "io.modelcontextprotocol/ui"
PAGE_TYPE = "text/html;profile=mcp-app"
SESSION_ID_HEADER = "mcp-session-id"
APPS_SESSION = "apps-"
"""An Mcp-Session-Id that begins so belongs to a client that renders apps (http/app_sessions.py)."""

BOARD = "ui://devin/sessions"
FILE = Path(__file__).with_name("sessions.html")
OPENS_BOARD = (list_sessions, get_session)
CALLED_BY_BOARD = (*OPENS_BOARD, wait_for_sessions, send_message, archive_session)
TOOLS_PLACEHOLDER = 'data-tools=""'
_META = {"ui": {"resourceUri": BOARD}, "ui/resourceUri": BOARD}
"""The second key is for hosts from before 2026."""
_TTL_MS = 3_600_000


class AppsExtension(Extension):
    """Says that this server has apps. They are listed and read with `resources/*`."""

    identifier = APPS


def renders_apps(ctx: RequestContext, caller: CallerContext) -> bool:
    """Whether the board is switched on, and the client renders it."""
    if not caller.state.apps:
        return False
    declared = declared_extension(ctx, APPS)
    if declared is not None:
        types = declared.get("mimeTypes")
        return isinstance(types, list) and PAGE_TYPE in types
    headers = getattr(ctx.request, "headers", None) or {}
    session_id: str = headers.get(SESSION_ID_HEADER, "")
    return session_id.startswith(APPS_SESSION)


def app_meta(operation: Operation[Any, Any]) -> dict[str, Any]:
    """The part of a tool's `_meta` that names its page."""
    return _META if operation in OPENS_BOARD else {}


def app_resources(ctx: RequestContext, caller: CallerContext) -> list[McpResource]:
    """The pages, for a client that renders apps."""
    if not (renders_apps(ctx, caller) and _opens_board(caller.visible)):
        return []
    return [
        McpResource(
            uri=BOARD,
            name="session-board",
            title="Devin sessions",
            description="Sessions in groups, with Devin's questions. Shown by the host.",
            mime_type=PAGE_TYPE,
            annotations=Annotations(audience=["user"]),
        )
    ]


def read_app(uri: str, caller: CallerContext) -> ReadResourceResult | None:
    """None if the URI is no page's."""
    if uri != BOARD or not caller.state.apps or not _opens_board(caller.visible):
        return None
    names = " ".join(tool.tool_name for tool in CALLED_BY_BOARD if caller.visible.has(tool))
    page = _page().replace(TOOLS_PLACEHOLDER, f'data-tools="{names}"')
    contents = TextResourceContents(
        uri=uri, mime_type=PAGE_TYPE, text=page, _meta={"ui": {"prefersBorder": True}}
    )
    return ReadResourceResult(contents=[contents], ttl_ms=_TTL_MS, cache_scope="private")


def _opens_board(visible: VisibleTools) -> bool:
    return any(visible.has(tool) for tool in OPENS_BOARD)


@cache
def _page() -> str:
    return FILE.read_text(encoding="utf-8")
