"""The files of a session: what Devin made, and what it was given."""

from __future__ import annotations

from devin_mcp.api.models import ApiModel, ShortText
from devin_mcp.api.paging import Walk, read_pages
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.parameters import SessionId
from devin_mcp.operations.results import Cursor, Page, Truncatable, build_page, rows_of_page
from devin_mcp.settings.toolsets import ATTACHMENTS


class SessionFile(ApiModel):
    """A file of a session (v3.md §5.7)."""

    name: ShortText
    source: ShortText | None = None
    """`devin` or `user`: who it is from."""
    content_type: ShortText | None = None
    url: ShortText | None = None


class SessionFiles(Page):
    """Files of a session, those that Devin made first."""

    rows = "files"
    hint = "Fetch one with devin_download_attachment and its url."
    empty = "The session has no files."

    files: list[SessionFile]


@operation(
    READ,
    ATTACHMENTS,
    v3="GET /sessions/{session_id}/attachments",
    permission="ViewOrgSessions",
    search_hint="find a screenshot, screen recording, report, log or other output, artifact or "
    "result of Devin's",
)
async def list_session_files(
    ctx: Context, session_id: SessionId, cursor: Cursor | None = None
) -> Truncatable[SessionFiles]:
    """List the files of a session: screenshots, recordings and reports that Devin made."""
    query = ListQuery("devin_list_session_files", {"session_id": session_id})
    start = query.decode(cursor)
    walk = await _read_files(ctx, session_id)
    rows, has_more = rows_of_page(_by_source(walk.items), start)
    is_cut_off = walk.has_more or walk.is_cut_off
    return build_page(SessionFiles, rows, query, start, has_more=has_more, is_cut_off=is_cut_off)


async def read_session_files(ctx: Context, session_id: str) -> list[SessionFile]:
    """All files, Devin's first. Raises one of errors.py."""
    return _by_source((await _read_files(ctx, session_id)).items)


async def _read_files(ctx: Context, session_id: str) -> Walk[SessionFile]:
    return await read_pages(ctx, list_session_files, SessionFile, session_id=session_id)


def _by_source(files: list[SessionFile]) -> list[SessionFile]:
    return sorted(files, key=lambda file: file.source != "devin")
