"""Listing sessions: by page, by phase, by tag, repository or user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from devin_mcp.api.endpoint import Lookup
from devin_mcp.api.models import ApiModel
from devin_mcp.api.paging import read_all
from devin_mcp.errors import Broken, NotSent, SlowDown
from devin_mcp.operations.capabilities import V3, Requires
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import ListQuery, Position
from devin_mcp.operations.parameters import Repository, SearchedTags
from devin_mcp.operations.results import Cursor, Page, Truncatable, build_page
from devin_mcp.operations.sessions.model import V3_PHASE_NAMES, Phase, SessionSummary
from devin_mcp.operations.sessions.pages import MAX_PAGES, SessionPage, read_page
from devin_mcp.settings.toolsets import SESSIONS

LIST_MEMBERS = Lookup.declare(
    "list_members",
    v3="GET /v3beta1/organizations/{org_id}/members/users?first=200",
    permission="ViewOrgMembership",
)
NO_MATCH = "No session matches; leave the filter out to see all."
NONE_LISTED = (
    "No session is listed. Start one with devin_delegate_task; archived=true lists archived ones."
)
NO_SUCH_USER = "No user of the organization has this e-mail address."


class Sessions(Page):
    """A page of sessions, newest first."""

    rows = "sessions"
    hint = "Look into one with devin_get_session."
    empty = "No session here. Start one with devin_delegate_task."

    sessions: list[SessionSummary]
    scanned: int | None = Field(None, description="Sessions looked through for these phases")


class Member(ApiModel):
    """A user of the organization (v3.md §2)."""

    user_id: str
    email: str | None = None


@operation(
    READ,
    SESSIONS,
    v1="GET /v1/sessions",
    v3="GET /sessions?first=200&is_archived=false",
    permission="ViewOrgSessions",
    search_hint="list Devin sessions, show recent and running agents, tasks, runs and jobs, find "
    "earlier ones by tag",
)
async def list_sessions(
    ctx: Context,
    limit: Annotated[int, Field(ge=1, le=1000, description="Rows on this page")] = 20,
    cursor: Cursor | None = None,
    tags: Annotated[SearchedTags | None, Field(description="Only with these tags")] = None,
    user_email: Annotated[str | None, Field(max_length=320, description="Only this user's")] = None,
    phase: Annotated[
        list[Phase] | None,
        Field(min_length=1, description="Only in these phases"),
        V3_PHASE_NAMES,
    ] = None,
    repository: Annotated[
        Repository | None, Field(description="Only with this owner/name"), Requires(V3)
    ] = None,
    archived: Annotated[bool, Field(description="Only archived ones"), Requires(V3)] = False,
) -> Truncatable[Sessions]:
    """List Devin's sessions (coding tasks), newest first: phase, link, title, tags, pull requests.

    phase=[waiting] finds those that wait for somebody.
    """
    phases = sorted(set(phase or ()))
    filters: dict[str, Any] = {"tags": tags, "user_email": user_email, "repository": repository}
    query = ListQuery(
        "devin_list_sessions",
        {**filters, "phase": phases or None, "archived": archived or None},
    )
    start = query.decode(cursor)
    api_filters: dict[str, Any] = {"tags": tags}
    if repository is not None:
        api_filters["repo_names"] = [repository]
    if archived:
        api_filters["is_archived"] = True
    if user_email is not None:
        user_filter = await _user_filter(ctx, user_email)
        if not user_filter:
            return build_page(Sessions, [], query, start, empty=NO_SUCH_USER)
        api_filters |= user_filter
    found = await _scan(ctx, api_filters, start, limit, frozenset(phases))
    is_filtered = phases or any(filters.values()) or archived
    return build_page(
        Sessions,
        found.rows,
        query,
        start,
        has_more=found.has_more,
        positions=found.positions,
        empty=NO_MATCH if is_filtered else _none_listed(ctx),
        scanned=found.scanned if phases else None,
    )


def _none_listed(ctx: Context) -> str | None:
    return NONE_LISTED if list_sessions.takes("archived", ctx.key.api) else None


async def _user_filter(ctx: Context, email: str) -> dict[str, Any]:
    """v3 filters by user ids, which its members are searched for; empty if there is no such user.

    Raises NotAllowed, which names the permission, if the key may not read members.
    """
    if not ctx.has(LIST_MEMBERS):
        return {"user_email": email}
    members = await read_all(ctx, LIST_MEMBERS, Member, query={"email": email})
    user_ids = [
        member.user_id
        for member in members
        if member.email is None or member.email.casefold() == email.casefold()
    ]
    return {"user_ids": user_ids} if user_ids else {}


async def _scan(
    ctx: Context,
    filters: Mapping[str, Any],
    start: Position,
    limit: int,
    phases: frozenset[Phase],
) -> SessionPage:
    """Up to `limit` sessions from `start` on. Devin cannot filter by phase, so pages are read one
    after the other, within a bound.
    """
    found = SessionPage([], [start], has_more=True)
    seen: set[str] = set()
    cursors = {start.after}
    position = start
    for _ in range(MAX_PAGES):
        size = None if phases else limit - len(found.rows)
        try:
            page = await read_page(ctx, list_sessions, filters, position, size)
        except (Broken, NotSent, SlowDown):
            if not found.rows:
                raise
            break  # the rows so far are useful, and the cursor continues after them
        for row, after_row in zip(page.rows, page.positions[1:], strict=True):
            found.scanned += 1
            position = after_row
            # A session created meanwhile pushes others onto the next page.
            is_match = row.phase in phases and row.session_id not in seen
            if is_match or not phases:
                seen.add(row.session_id)
                found.rows.append(row)
                found.positions.append(position)
            if len(found.rows) == limit:
                found.has_more = found.scanned < len(page.rows) or page.has_more or bool(phases)
                return found
        is_repeated = page.is_by_cursor and position.after in cursors
        cursors.add(position.after)
        if is_repeated or not page.has_more or (not phases and not page.is_by_cursor):
            found.has_more = page.has_more and not is_repeated
            break
    found.positions[-1] = position
    return found
