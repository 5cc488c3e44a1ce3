"""Listing sessions: by page, by phase, by tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from devin_mcp.api.models import ApiModel
from devin_mcp.errors import Broken, NotSent, SlowDown
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.parameters import Tags
from devin_mcp.operations.results import Cursor, Page, Truncatable, build_page
from devin_mcp.operations.sessions.model import Phase, SessionSummary

MAX_PAGES = 10
"""Pages read in search of sessions in given phases, which Devin itself cannot filter by."""
API_PAGE_SIZE = 100
"""Rows that Devin returns by default (v1.md §3.2)."""


class SessionList(ApiModel):
    """A page of sessions as Devin returns it."""

    sessions: list[SessionSummary]


class Sessions(Page):
    """A page of sessions, newest first."""

    rows = "sessions"
    hint = "Look into one with devin_get_session."
    empty = "No session here. Start one with devin_delegate_task."

    sessions: list[SessionSummary]
    scanned: int | None = Field(None, description="Sessions looked through for these phases")


NO_MATCH = "No session matches; leave the filter out to see all."


@operation(READ, "sessions", v1="GET /v1/sessions")
async def list_sessions(
    ctx: Context,
    limit: Annotated[int, Field(ge=1, le=1000, description="Rows on this page")] = 20,
    cursor: Cursor | None = None,
    tags: Annotated[Tags | None, Field(description="Only with these tags")] = None,
    user_email: Annotated[str | None, Field(max_length=320, description="Only this user's")] = None,
    phase: Annotated[
        list[Phase] | None, Field(min_length=1, description="Only in these phases")
    ] = None,
) -> Truncatable[Sessions]:
    """List sessions with phase, link, title, tags and pull requests, newest first.

    phase=[waiting] finds those that wait for somebody. Messages come with devin_get_session.
    """
    filters: dict[str, Any] = {"tags": tags, "user_email": user_email}
    phases = sorted(set(phase or ()))
    query = ListQuery("devin_list_sessions", {**filters, "phase": phases or None})
    start = query.decode(cursor)
    if phases:
        return await _list_in_phases(ctx, query, set(phases), limit, start, filters)
    rows = await _read_page(ctx, limit, start, filters)
    return build_page(
        Sessions,
        rows,
        query,
        start,
        has_more=_may_have_more(rows, limit),
        empty=NO_MATCH if tags or user_email else None,
    )


async def _read_page(
    ctx: Context, limit: int, offset: int, filters: Mapping[str, Any]
) -> list[SessionSummary]:
    query = {"limit": limit, "offset": offset, **filters}
    rows = (await ctx.send(list_sessions, SessionList, query=query)).sessions
    for row in rows:
        row.url = ctx.web_url(row.session_id)
    return rows


def _may_have_more(rows: Sequence[SessionSummary], limit: int) -> bool:
    """Devin's own largest page is not documented (v1.md §3.2)."""
    return len(rows) >= limit or len(rows) == API_PAGE_SIZE


async def _list_in_phases(
    ctx: Context,
    query: ListQuery,
    phases: set[Phase],
    limit: int,
    start: int,
    filters: Mapping[str, Any],
) -> Truncatable[Sessions]:
    """Devin cannot filter by phase, so pages are read one after the other, within a bound."""
    matches: dict[str, SessionSummary] = {}
    offset, positions, has_more = start, [start], True
    for _ in range(MAX_PAGES):
        try:
            rows = await _read_page(ctx, API_PAGE_SIZE, offset, filters)
        except (Broken, NotSent, SlowDown):
            if not matches:
                raise
            break  # the matches so far are useful, and the cursor continues after them
        for row in rows:
            offset += 1
            # A session created meanwhile pushes others onto the next page.
            if row.phase in phases and row.session_id not in matches:
                matches[row.session_id] = row
                positions.append(offset)
            if len(matches) == limit:
                break
        has_more = len(matches) == limit or _may_have_more(rows, API_PAGE_SIZE)
        if len(matches) == limit or not has_more:
            break
    if len(matches) < limit:
        positions[-1] = offset
    return build_page(
        Sessions,
        list(matches.values()),
        query,
        start,
        has_more=has_more,
        positions=positions,
        empty=NO_MATCH,
        scanned=offset - start,
    )


async def sessions_with_tag(ctx: Context, tag: str) -> list[SessionSummary]:
    """The sessions with this tag, newest first. Raises Broken if that cannot be determined."""
    offset = 0
    for _ in range(MAX_PAGES):
        query = {"limit": API_PAGE_SIZE, "offset": offset, "tags": [tag]}
        rows = (await ctx.send(list_sessions, SessionList, query=query)).sessions
        # Whether Devin filters exactly is not documented (v1.md §3.2).
        matches = [row for row in rows if tag in row.tags]
        if matches or len(rows) < API_PAGE_SIZE:
            return matches
        offset += len(rows)
    raise Broken(
        f"Devin showed {offset} sessions without the tag that was asked for.",
        "Nothing was started.",
    )
