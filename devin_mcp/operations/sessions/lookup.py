"""Finding the session that a delegation started: by its tag, or by the mark in its title."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from devin_mcp.errors import Broken
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import Position
from devin_mcp.operations.sessions.listing import list_sessions
from devin_mcp.operations.sessions.model import SessionSummary
from devin_mcp.operations.sessions.pages import MAX_PAGES, read_page

Matches = Callable[[SessionSummary], bool]


async def sessions_with_tag(
    ctx: Context, tag: str, created_after: int | None = None
) -> list[SessionSummary]:
    """The sessions with this tag, newest first; on v3 those created after that Unix second.

    Raises Broken if that cannot be determined.
    """
    # Whether Devin filters exactly is not documented (v1.md §3.2, v3-additions.md §4).
    return await _find(ctx, lambda row: tag in row.tags, created_after, tags=[tag])


async def sessions_with_title_mark(
    ctx: Context, mark: str, created_after: int | None = None
) -> list[SessionSummary]:
    """The recent sessions whose title ends with the mark, newest first. Raises Broken."""
    return await _find(
        ctx, lambda row: (row.title or "").endswith(mark), created_after, is_exhaustive=False
    )


async def _find(
    ctx: Context,
    matches: Matches,
    created_after: int | None,
    *,
    is_exhaustive: bool = True,
    **filters: Any,
) -> list[SessionSummary]:
    scanned = 0
    for view in _views(ctx, created_after):
        position = Position()
        for _ in range(MAX_PAGES):
            page = await read_page(ctx, list_sessions, {**filters, **view}, position)
            scanned += len(page.rows)
            if found := [row for row in page.rows if matches(row)]:
                return found
            if not page.has_more:
                break
            position = page.positions[-1]
        else:
            if is_exhaustive:
                raise Broken(
                    f"Devin showed {scanned} sessions without the tag that was asked for.",
                    "Nothing was started.",
                )
    return []


def _views(ctx: Context, created_after: int | None) -> Iterator[dict[str, Any]]:
    """Query parameters that together show all sessions. v3 may hide archived ones unless it is
    asked for them (v3-additions.md §4).
    """
    if not list_sessions.takes("archived", ctx.key.api):
        yield {}
        return
    for is_archived in (False, True):
        yield {"is_archived": is_archived, "created_after": created_after}
