"""Finding the session that a delegation started: by its tag, or by the mark in its title.

"Could not look" is an error: only a look through all sessions says that there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from devin_mcp.errors import Broken
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import Position
from devin_mcp.operations.sessions.listing import list_sessions
from devin_mcp.operations.sessions.model import SessionSummary
from devin_mcp.operations.sessions.pages import MAX_PAGES, read_page

MAX_TITLE_PAGES = 50
"""Pages read in search of a title, which Devin itself cannot filter for."""

Matches = Callable[[SessionSummary], bool]


async def sessions_with_tag(
    ctx: Context, tag: str, created_after: int | None = None
) -> list[SessionSummary]:
    """The sessions with this tag, newest first; on v3 those created after that Unix second.

    Raises Broken if that cannot be determined.
    """

    def matches(row: SessionSummary) -> bool:
        if "tags" not in row.model_fields_set:
            raise Broken(
                "Devin did not show the tags of a session that was looked up.",
                "Nothing was started.",
            )
        # Whether Devin filters exactly is not documented (v1.md §3.2, v3-additions.md §4).
        return tag in row.tags

    return await _find(ctx, matches, created_after, MAX_PAGES, tags=[tag])


async def sessions_with_title_mark(
    ctx: Context, mark: str, created_after: int | None = None
) -> list[SessionSummary]:
    """The sessions whose title ends with the mark, newest first. Raises Broken as above."""
    return await _find(ctx, _ends_with(mark), created_after, MAX_TITLE_PAGES)


async def latest_sessions_with_title_mark(
    ctx: Context, mark: str, created_after: int | None = None
) -> list[SessionSummary]:
    """The same among the sessions of the latest page: one request instead of many."""
    return await _find(ctx, _ends_with(mark), created_after, 1, is_exhaustive=False)


def _ends_with(mark: str) -> Matches:
    return lambda row: (row.title or "").endswith(mark)


async def _find(
    ctx: Context,
    matches: Matches,
    created_after: int | None,
    max_pages: int,
    *,
    is_exhaustive: bool = True,
    **filters: Any,
) -> list[SessionSummary]:
    scanned = 0
    for view in _views(ctx, created_after):
        position, has_more = Position(), True
        for _ in range(max_pages):
            page = await read_page(ctx, list_sessions, {**filters, **view}, position)
            scanned += len(page.rows)
            if found := [row for row in page.rows if matches(row)]:
                return found
            has_more = page.has_more or page.is_cut_off
            if not page.has_more:
                break
            position = page.positions[-1]
        if has_more and is_exhaustive:
            raise Broken(
                f"Devin showed {scanned} sessions without the one that was looked for, and has "
                "more.",
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
