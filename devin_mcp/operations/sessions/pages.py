"""One page of sessions: by offset on v1, by cursor on v3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from devin_mcp.api.endpoint import HasEndpoints
from devin_mcp.api.models import ApiModel
from devin_mcp.operations.context import Context
from devin_mcp.operations.cursor_page import MAX_FIRST, read_cursor_page
from devin_mcp.operations.list_cursor import Position
from devin_mcp.operations.sessions.model import SessionSummary

MAX_PAGES = 10
"""Pages read in search of sessions that Devin itself cannot filter for."""
OFFSET_PAGE_SIZE = 100
"""Rows that v1 returns by default (v1.md §3.2)."""


class SessionList(ApiModel):
    """A page of sessions as v1 returns it."""

    items: list[SessionSummary] = Field(alias="sessions")


@dataclass
class SessionPage:
    """Sessions, and where to go on after each."""

    rows: list[SessionSummary]
    positions: list[Position]
    """`positions[n]` is the place after `n` rows."""
    has_more: bool
    is_by_cursor: bool = False
    is_cut_off: bool = False
    """True if more sessions exist and cannot be reached."""
    scanned: int = 0
    """Rows that were looked through for these."""


async def read_page(
    ctx: Context,
    operation: HasEndpoints,
    filters: Mapping[str, Any],
    start: Position,
    size: int | None = None,
) -> SessionPage:
    """A page of at most `size` sessions from `start` on, None for Devin's largest page.

    `operation` is list_sessions. `filters` are query parameters. Raises one of errors.py.
    """
    if ctx.endpoint(operation).is_paged:
        found = await read_cursor_page(
            ctx, operation, SessionSummary, filters, start, size or MAX_FIRST
        )
        page = SessionPage(
            found.rows,
            found.positions,
            found.has_more,
            is_by_cursor=True,
            is_cut_off=found.is_cut_off,
        )
    else:
        page = await _read_by_offset(ctx, operation, filters, start, size or OFFSET_PAGE_SIZE)
    for row in page.rows:
        row.url = row.url or ctx.web_url(row.session_id)
    return page


async def _read_by_offset(
    ctx: Context,
    operation: HasEndpoints,
    filters: Mapping[str, Any],
    start: Position,
    size: int,
) -> SessionPage:
    query = {"limit": size, "offset": start.skip, **filters}
    rows = (await ctx.send(operation, SessionList, query=query)).items
    positions = [Position(start.skip + count) for count in range(len(rows) + 1)]
    # Devin's own largest page is not documented (v1.md §3.2).
    has_more = len(rows) >= size or len(rows) == OFFSET_PAGE_SIZE
    return SessionPage(rows, positions, has_more)
