"""Archiving a session, and taking it back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from devin_mcp.api.endpoint import Endpoint, Lookup
from devin_mcp.api.models import Acknowledgement
from devin_mcp.errors import DevinError, NotAllowed, NotFound
from devin_mcp.operations.catalog import CHANGE, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import SessionId
from devin_mcp.operations.results import Next, Result
from devin_mcp.operations.sessions.tools import read_session_alone
from devin_mcp.operations.sessions.view import ARCHIVED
from devin_mcp.settings.toolsets import SESSIONS

PERMISSION = "ManageOrgSessions"
UNARCHIVE_SESSION = Lookup(
    v3=Endpoint.parse(
        "archive_session",
        "v3",
        "POST /sessions/{session_id}/unarchive",
        retry_safe=True,
        permission=PERMISSION,
    )
)


class SessionArchived(Result):
    session_id: str
    archived: bool
    next: Next


@operation(
    CHANGE,
    SESSIONS,
    v3="POST /sessions/{session_id}/archive",
    permission=PERMISSION,
    retry_safe=True,
    search_hint="tidy up, clean up, close, hide or file away finished agents and runs, restore",
)
async def archive_session(
    ctx: Context,
    session_id: SessionId,
    archived: Annotated[bool, Field(description="false takes it back")] = True,
) -> SessionArchived:
    """Archive a session: put it to sleep and file it away, still readable. Can be undone."""
    if not archived:
        return await _unarchive(ctx, session_id)
    await ctx.send(archive_session, Acknowledgement, session_id=session_id)
    return SessionArchived(
        session_id=session_id,
        archived=True,
        next=f"If it worked, it has stopped. {ARCHIVED}",
    )


async def _unarchive(ctx: Context, session_id: str) -> SessionArchived:
    try:
        await ctx.send(UNARCHIVE_SESSION, Acknowledgement, session_id=session_id)
    except NotFound as refusal:
        await _raise_if_it_exists(ctx, session_id, refusal)
        raise
    return SessionArchived(
        session_id=session_id,
        archived=False,
        next="It is listed again. Unless it has ended, devin_send_message wakes it, which costs "
        "ACUs.",
    )


async def _raise_if_it_exists(ctx: Context, session_id: str, refusal: NotFound) -> None:
    """Only the newest reference has the route (v3.md §4): it may be missing, not the session."""
    try:
        await read_session_alone(ctx, session_id)
    except DevinError:
        raise refusal from None
    raise NotAllowed(
        "This Devin has no way to take a session back from the archive.",
        "Nothing was changed. Do it in Devin's web app.",
        status=refusal.status,
    ) from None
