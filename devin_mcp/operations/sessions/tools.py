"""Sessions: tasks Devin works on. Listing, starting, looking at, ending, tagging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from devin_mcp.api.client import ApiCall
from devin_mcp.api.models import Acknowledgement, ApiModel, Id, PlaybookId, SessionId
from devin_mcp.errors import Broken, DevinError, Invalid, NotSent, Refused, ReplyLost, SlowDown
from devin_mcp.operations.catalog import (
    CHANGE,
    CREATE,
    DESTROY,
    READ,
    Confirmation,
    NothingToConfirm,
    operation,
)
from devin_mcp.operations.context import House
from devin_mcp.operations.idempotency import PREFIX
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.output_schema import OutputSchema, validate_output_schema
from devin_mcp.operations.results import Cursor, FromChar, Next, Page, Result, from_position
from devin_mcp.operations.secrets import SessionSecret
from devin_mcp.operations.sessions.conversation import AfterEvent, Text, assign_event_ids
from devin_mcp.operations.sessions.model import (
    MessageWindow,
    Phase,
    PhaseText,
    Session,
    SessionSummary,
    SessionView,
    looked_at,
)

Tag = Annotated[str, Field(min_length=1, max_length=256)]
MAX_TAGS = 50
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]


MAX_PAGES = 10
"""Pages looked through for sessions in given phases, which Devin itself cannot filter by."""
DEFAULT_PAGE = 100
"""Rows Devin gives when nothing is said."""


class SessionPage(ApiModel):
    sessions: list[SessionSummary]


class Sessions(Page):
    """A page of sessions, newest first."""

    rows = "sessions"
    hint = "Look into one with devin_get_session."
    empty = "No session here. Start one with devin_delegate_task."
    none_match: ClassVar[str] = "No session matches; leave the filter out to see all."

    sessions: list[SessionSummary]
    scanned: int | None = Field(None, description="Sessions looked through for these phases")


@operation(READ, "sessions", v1="GET /v1/sessions")
async def list_sessions(
    devin: ApiCall,
    limit: Annotated[int, Field(ge=1, le=1000, description="Rows on this page")] = 20,
    cursor: Cursor | None = None,
    tags: Annotated[Tags | None, Field(description="Only sessions with these tags")] = None,
    user_email: Annotated[
        str | None, Field(max_length=320, description="Only this user's sessions")
    ] = None,
    phase: Annotated[
        list[Phase] | None, Field(min_length=1, description="Only sessions in these phases")
    ] = None,
) -> Sessions:
    """Sessions with phase, link, title, tags and pull requests, newest first.

    phase=[waiting] finds those that wait for somebody. Messages come with devin_get_session.
    """
    filters: dict[str, Any] = {"tags": tags, "user_email": user_email}
    query = ListQuery("devin_list_sessions", {**filters, "phase": sorted(set(phase or ())) or None})
    start = query.decode(cursor)
    if phase is not None:
        return await _in_phases(devin, query, set(phase), limit, start, filters)
    rows = (
        await devin.send(SessionPage, query={"limit": limit, "offset": start, **filters})
    ).sessions
    for row in rows:
        row.url = devin.web_url(row.session_id)
    page = Sessions.of(rows, query, from_position(start, len(rows)), more=_is_full(rows, limit))
    if not rows and (tags or user_email):
        page.next = Sessions.none_match
    return page


def _is_full(rows: Sequence[SessionSummary], size: int) -> bool:
    """There may be more: Devin's own largest page is not documented (v1.md §3.2)."""
    return len(rows) >= size or len(rows) == DEFAULT_PAGE


async def _in_phases(
    devin: ApiCall,
    query: ListQuery,
    wanted: set[Phase],
    limit: int,
    start: int,
    filters: Mapping[str, Any],
) -> Sessions:
    """Devin itself cannot filter by phase, so pages are looked through, within a bound."""
    found: dict[str, SessionSummary] = {}
    here, positions, more = start, [start], True
    for _ in range(MAX_PAGES):
        try:
            rows = (
                await devin.send(
                    SessionPage, query={"limit": DEFAULT_PAGE, "offset": here, **filters}
                )
            ).sessions
        except (Broken, NotSent, SlowDown):
            if not found:
                raise
            break  # what was found is worth something; the cursor says where to go on
        for row in rows:
            here += 1
            # A new session pushes others onto the next page.
            if row.phase in wanted and row.session_id not in found:
                row.url = devin.web_url(row.session_id)
                found[row.session_id] = row
                positions.append(here)
            if len(found) == limit:
                break
        more = len(found) == limit or _is_full(rows, DEFAULT_PAGE)
        if len(found) == limit or not more:
            break
    if len(found) < limit:
        positions[-1] = here
    page = Sessions.of(list(found.values()), query, positions, more=more, scanned=here - start)
    if not found and not more:
        page.next = Sessions.none_match
    return page


async def tagged(devin: ApiCall, tag: str) -> list[SessionSummary]:
    """The sessions with this tag, newest first. Raises Broken when that cannot be told."""
    listing, offset = list_sessions.at(devin), 0
    for _ in range(MAX_PAGES):
        query = {"limit": DEFAULT_PAGE, "offset": offset, "tags": [tag]}
        rows = (await listing.send(SessionPage, query=query)).sessions
        found = [
            row for row in rows if tag in row.tags
        ]  # how far Devin filters is not documented (v1.md §3.2)
        if found or len(rows) < DEFAULT_PAGE:
            return found
        offset += len(rows)
    raise Broken(
        f"Devin showed {offset} sessions without the tag that was asked for.",
        "Nothing was started.",
    )


class SessionCreated(Result):
    """Accepted is not yet running (v1.md §8)."""

    session_id: str
    phase: PhaseText
    url: str | None = None
    is_new_session: bool | None = None
    max_acu_limit: int | None = Field(None, description="Spending cap in force")
    next: Next


class SessionStarted(ApiModel):
    session_id: str = Field(min_length=1)
    url: str | None = None
    is_new_session: bool | None = None


IF_REPLY_LOST = (
    "A session may exist and cost ACUs. Look with devin_list_sessions before starting another."
)


@operation(CREATE, "sessions", v1="POST /v1/sessions", spends=True, if_lost=IF_REPLY_LOST)
async def create_session(
    devin: ApiCall,
    house: House,
    prompt: Annotated[Text, Field(description="The task, complete in itself")],
    title: Annotated[
        str | None, Field(max_length=500, description="Made by Devin when absent")
    ] = None,
    tags: Annotated[Tags | None, Field(description="At most 50")] = None,
    playbook_id: PlaybookId | None = None,
    knowledge_ids: Annotated[
        list[Id] | None, Field(description="Notes to use; absent = all, [] = none")
    ] = None,
    secret_ids: Annotated[
        list[Id] | None, Field(description="Secrets to use; absent = all, [] = none")
    ] = None,
    session_secrets: Annotated[
        list[SessionSecret] | None, Field(description="Secrets for this session only")
    ] = None,
    snapshot_id: Annotated[Id | None, Field(description="Machine snapshot to start from")] = None,
    max_acu_limit: Annotated[int | None, Field(gt=0, description="Spending cap in ACUs")] = None,
    idempotent: Annotated[
        bool, Field(description="Return an earlier session with this prompt, even a dead one")
    ] = False,
    unlisted: Annotated[bool, Field(description="Hide it from listings")] = False,
    structured_output_schema: Annotated[
        OutputSchema | None, Field(description="JSON Schema (draft 7) to fill, at most 64 KB")
    ] = None,
) -> SessionCreated:
    """The new session's id and link. Starts Devin on a task, which costs ACUs.

    The bare call: devin_delegate_task also takes files and names, and starts nothing twice.
    """
    body: dict[str, Any] = {
        "prompt": prompt,
        "title": title,
        "tags": tags,
        "playbook_id": playbook_id,
        "knowledge_ids": knowledge_ids,
        "secret_ids": secret_ids,
        "snapshot_id": snapshot_id,
        "max_acu_limit": house.acu_limit(max_acu_limit),
        "idempotent": idempotent or None,
        "unlisted": unlisted or None,
        "structured_output_schema": validate_output_schema(structured_output_schema),
    }
    if session_secrets is not None:
        body["session_secrets"] = [secret.wire(house) for secret in session_secrets]
    body = {name: value for name, value in body.items() if value is not None}
    with house.starts.one(devin.owner) as forget:
        made = await devin.send(SessionStarted, body=body, private=session_secrets is not None)
        if made.is_new_session is False:
            forget()
    text = "Devin is starting. Wait for it with devin_wait_for_sessions; it asks when it needs something."
    if made.is_new_session is False:
        text = "This is an earlier session with the same prompt, maybe a dead one. Look with devin_get_session."
    return SessionCreated(
        session_id=made.session_id,
        phase="starting",
        url=made.url or devin.web_url(made.session_id),
        is_new_session=made.is_new_session,
        max_acu_limit=body.get("max_acu_limit"),
        next=text,
    )


@operation(READ, "sessions", v1="GET /v1/sessions/{session_id}")
async def get_session(
    devin: ApiCall,
    session_id: SessionId,
    messages: Annotated[
        int, Field(ge=0, le=200, description="How many to show; the newest unless after_event_id")
    ] = 20,
    after_event_id: AfterEvent | None = None,
    from_char: FromChar = 0,
) -> SessionView:
    """One session: phase, pull request, structured output and newest messages.

    Looks once. from_char goes with the after_event_id of a cut message, alone with the structured output.
    """
    body = await devin.send(Session, session_id=session_id)
    body.url = devin.web_url(body.session_id)
    body.messages = assign_event_ids(body.messages)
    return looked_at(body, MessageWindow(count=messages, after=after_event_id, from_char=from_char))


class SessionEnded(Result):
    session_id: str
    terminated: bool
    phase: PhaseText | None = Field(None, description="Read back where the answer left a doubt")
    next: Next


async def title_of(devin: ApiCall, house: House, session_id: str) -> str | None:  # noqa: ARG001 - titles share a shape
    body = await get_session.at(devin).send(Session, session_id=session_id)
    if body.is_over:
        raise NothingToConfirm
    return body.title


ENDING = Confirmation(
    "Terminate the Devin session", "It cannot be woken again and unsaved work is lost.", title_of
)


@operation(DESTROY, "sessions", v1="DELETE /v1/sessions/{session_id}", stake=ENDING)
async def terminate_session(devin: ApiCall, session_id: SessionId) -> SessionEnded:
    """Confirmation that the session is over. It cannot be woken again and unsaved work is lost."""
    phase: Phase | None = None
    try:
        await devin.send(Acknowledgement, session_id=session_id)
    except (ReplyLost, Refused) as doubt:
        if isinstance(doubt, Refused) and doubt.status not in {400, 409}:
            raise
        # Only a running session can be terminated, so a refusal may mean that an earlier attempt did it.
        try:
            body = await get_session.at(devin).send(Session, session_id=session_id)
        except DevinError:
            raise doubt from None  # the doubt remains, and it is about the session's life
        if not body.is_over:
            raise
        phase = body.phase
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


@operation(CHANGE, "sessions", v1="PUT /v1/sessions/{session_id}/tags")
async def update_session_tags(
    devin: ApiCall,
    session_id: SessionId,
    tags: Annotated[Tags, Field(description="The whole new list; [] removes all")],
) -> TagsUpdated:
    """The session's tags as they are now. Replaces all (at most 50) but a delegation's own: read them first to add one."""
    now = await get_session.at(devin).send(Session, session_id=session_id)
    own = [one for one in now.tags if one.startswith(PREFIX)]
    new = list(dict.fromkeys([*tags, *own]))
    if len(new) > MAX_TAGS:
        raise Invalid(
            f"One tag keeps this session from being started twice and stays, so give at most {MAX_TAGS - len(own)}."
        )
    await devin.send(Acknowledgement, body={"tags": new}, session_id=session_id)
    return TagsUpdated(
        session_id=session_id, tags=new, next="Find sessions by tag with devin_list_sessions."
    )
