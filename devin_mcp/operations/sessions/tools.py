"""Sessions as tools: create, get, terminate, tag. Listing is in listing.py, messages in
../messages.py.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from devin_mcp.api.models import Acknowledgement
from devin_mcp.errors import Broken, DevinError, Invalid, NotAllowed, Refused, ReplyLost
from devin_mcp.operations.capabilities import V1, V3, Requires
from devin_mcp.operations.catalog import (
    CHANGE,
    CREATE,
    DESTROY,
    READ,
    Confirmation,
    NothingToConfirm,
    operation,
)
from devin_mcp.operations.context import Context
from devin_mcp.operations.output_schema import OutputSchema
from devin_mcp.operations.parameters import (
    MAX_TAGS,
    OWN_TAG_PREFIX,
    FromChar,
    Id,
    PlaybookId,
    RepositoryName,
    SessionId,
    Tags,
    Text,
)
from devin_mcp.operations.results import Next, Result, Truncatable
from devin_mcp.operations.secrets import SessionSecret
from devin_mcp.operations.sessions.conversation import AfterEvent, assign_event_ids
from devin_mcp.operations.sessions.message_pages import LIST_MESSAGES, read_messages
from devin_mcp.operations.sessions.model import Phase, PhaseText, Session
from devin_mcp.operations.sessions.start import (
    Mode,
    SessionCreated,
    SessionRequest,
    start_session,
)
from devin_mcp.operations.sessions.view import MessageWindow, SessionView, build_view
from devin_mcp.settings.toolsets import SESSIONS

IF_REPLY_LOST = (
    "A session may exist and cost ACUs. Look with devin_list_sessions before starting another."
)


@operation(
    CREATE,
    SESSIONS,
    v1="POST /v1/sessions",
    v3="POST /sessions",
    permission="ManageOrgSessions or UseDevinSessions",
    spends=True,
    creates_session=True,
    if_reply_lost=IF_REPLY_LOST,
)
async def create_session(
    ctx: Context,
    prompt: Annotated[Text, Field(description="The task, complete in itself")],
    title: Annotated[str | None, Field(max_length=500, description="Else Devin makes one")] = None,
    tags: Annotated[Tags | None, Field(description="Labels")] = None,
    playbook_id: PlaybookId | None = None,
    knowledge_ids: Annotated[
        list[Id] | None, Field(description="Notes; absent = all, [] = none")
    ] = None,
    secret_ids: Annotated[
        list[Id] | None, Field(description="Secrets; absent = all, [] = none")
    ] = None,
    session_secrets: Annotated[
        list[SessionSecret] | None, Field(description="For this session only")
    ] = None,
    snapshot_id: Annotated[
        Id | None, Field(description="Machine snapshot to start from"), Requires(V1)
    ] = None,
    max_acu_limit: Annotated[int | None, Field(gt=0, description="Spending cap in ACUs")] = None,
    idempotent: Annotated[
        bool,
        Field(description="Return an earlier session with this prompt, even an ended one"),
        Requires(V1),
    ] = False,
    unlisted: Annotated[bool, Field(description="Hide it from listings"), Requires(V1)] = False,
    repositories: Annotated[
        list[RepositoryName] | None,
        Field(max_length=50, description="owner/name"),
        Requires(V3),
    ] = None,
    attachment_urls: Annotated[
        list[str] | None,
        Field(max_length=20, description="Uploaded files"),
        Requires(V3),
    ] = None,
    mode: Annotated[Mode | None, Field(description="normal when absent"), Requires(V3)] = None,
    resumable: Annotated[bool, Field(description="Can be woken later"), Requires(V3)] = True,
    structured_output_schema: Annotated[
        OutputSchema | None, Field(description="JSON Schema (draft 7)")
    ] = None,
) -> SessionCreated:
    """Create a session, which costs ACUs.

    devin_delegate_task also takes files and names, and starts nothing twice.
    """
    request = SessionRequest(
        prompt=prompt,
        title=title,
        tags=tags,
        playbook_id=playbook_id,
        knowledge_ids=knowledge_ids,
        secret_ids=secret_ids,
        session_secrets=session_secrets,
        snapshot_id=snapshot_id,
        max_acu_limit=max_acu_limit,
        idempotent=idempotent,
        unlisted=unlisted,
        repositories=repositories,
        attachment_urls=attachment_urls,
        mode=mode,
        resumable=resumable,
        structured_output_schema=structured_output_schema,
    )
    return await start_session(ctx, create_session, request)


@operation(
    READ,
    SESSIONS,
    v1="GET /v1/sessions/{session_id}",
    v3="GET /sessions/{session_id}",
    permission="ViewOrgSessions",
    search_hint="check progress of an agent's run, transcript of what Devin said, fetch results",
)
async def get_session(
    ctx: Context,
    session_id: SessionId,
    messages: Annotated[
        int,
        Field(ge=0, le=200, description="How many; the newest unless after_event_id"),
    ] = 20,
    after_event_id: AfterEvent | None = None,
    from_char: FromChar = 0,
) -> Truncatable[SessionView]:
    """Read a session's status and conversation: pull requests, structured output, new messages.

    Does not wait.
    """
    session = await read_session(ctx, session_id)
    window = MessageWindow(messages, after_event_id, from_char)
    return Truncatable(partial(build_view, session, window))


async def read_session(ctx: Context, session_id: str) -> Session:
    """The session with its conversation. Raises one of errors.py.

    Where messages are a request of their own, they are read second, so that they are at least as
    new as the phase.
    """
    session = await read_session_alone(ctx, session_id)
    if ctx.has(LIST_MESSAGES):
        session.messages = await read_messages(ctx, session_id)
    return session


async def read_session_alone(ctx: Context, session_id: str) -> Session:
    """The session with its link; with its messages only where they come with it (v1)."""
    session = await ctx.send(get_session, Session, session_id=session_id)
    session.url = session.url or ctx.web_url(session.session_id)
    session.messages = assign_event_ids(session.messages)
    return session


class SessionEnded(Result):
    session_id: str
    terminated: bool
    phase: PhaseText | None = Field(None, description="Read back where the answer left a doubt")
    next: Next


async def _title_of_session(ctx: Context, session_id: str) -> str | None:
    session = await read_session_alone(ctx, session_id)
    if not session.can_be_ended:
        raise NothingToConfirm
    return session.title


@operation(
    DESTROY,
    SESSIONS,
    v1="DELETE /v1/sessions/{session_id}",
    v3="DELETE /sessions/{session_id}",
    permission="ManageOrgSessions",
    confirmation=Confirmation(
        "Terminate the Devin session",
        "It cannot be woken again and unsaved work is lost.",
        "session_id",
        _title_of_session,
    ),
    search_hint="end, abort or kill Devin, a running agent, task or job",
)
async def terminate_session(
    ctx: Context,
    session_id: SessionId,
    archive: Annotated[bool, Field(description="File it away as well"), Requires(V3)] = False,
) -> SessionEnded:
    """Stop Devin: cancel a running session. It cannot be woken again; unsaved work is lost."""
    phase: Phase | None = None
    query = {"archive": True} if archive else None
    try:
        await ctx.send(terminate_session, Acknowledgement, query=query, session_id=session_id)
    except (ReplyLost, Refused) as doubt:
        if isinstance(doubt, Refused) and doubt.status not in {400, 409}:
            raise
        # Only a running session can be terminated: an earlier attempt may have done it.
        try:
            session = await read_session_alone(ctx, session_id)
        except DevinError:
            raise doubt from None  # the first error is the one about the session's end
        if session.can_be_ended:
            raise
        phase = session.phase
    return SessionEnded(
        session_id=session_id,
        terminated=True,
        phase=phase,
        next="Its slot is free. Its messages can still be read with devin_get_session.",
    )


class TagsUpdated(Result):
    session_id: str
    tags: list[str] | None = None
    next: Next


@operation(
    CHANGE,
    SESSIONS,
    v1="PUT /v1/sessions/{session_id}/tags",
    v3="PUT /sessions/{session_id}/tags",
    permission="ManageOrgSessions",
)
async def update_session_tags(
    ctx: Context,
    session_id: SessionId,
    tags: Annotated[Tags, Field(description="Labels")],
    how: Annotated[
        Literal["replace", "add", "remove"],
        Field(description="What to do with them"),
    ] = "replace",
) -> TagsUpdated:
    """Change the tags (labels) of a session. A delegation's own tag is kept."""
    session = await read_session_alone(ctx, session_id)
    if session.archived:
        raise NotAllowed(
            f"Session {session_id} is archived, and read-only.",
            "Nothing was changed. devin_archive_session with archived=false takes it back; then "
            "call again.",
        )
    if "tags" not in session.model_fields_set:
        raise Broken("Devin did not show the session's tags, so this change could lose some.")
    new_tags = _new_tags(session.tags, tags, how)
    if len(new_tags) > MAX_TAGS:
        raise Invalid(
            f"The session would have {len(new_tags)} tags; Devin takes {MAX_TAGS}.",
            "Nothing was changed. The tag of a delegation counts too.",
        )
    if new_tags != session.tags:
        await ctx.send(
            update_session_tags, Acknowledgement, body={"tags": new_tags}, session_id=session_id
        )
    return TagsUpdated(
        session_id=session_id,
        tags=new_tags,
        next="Find sessions by tag with devin_list_sessions.",
    )


def _new_tags(current: list[str], tags: list[str], how: str) -> list[str]:
    """The tag of a delegation stays: it keeps the session from being started twice."""
    own = [tag for tag in current if tag.startswith(OWN_TAG_PREFIX)]
    if how == "add":
        wanted = [*current, *tags]
    elif how == "remove":
        wanted = [tag for tag in current if tag not in tags]
    else:
        wanted = tags
    return list(dict.fromkeys([*wanted, *own]))
