"""Sessions to read: the latest ones as a table, one as a report, its conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from devin_mcp.api.client import ApiCall
from devin_mcp.api.models import SessionId, is_id
from devin_mcp.errors import Invalid
from devin_mcp.operations.context import House
from devin_mcp.operations.markdown import CELL, facts, one_line, quoted, table
from devin_mcp.operations.matching import Candidate, ResourceContent, completes, resource
from devin_mcp.operations.sessions.conversation import START, AfterEvent, Message, assign_event_ids
from devin_mcp.operations.sessions.model import MessageWindow, Session, SessionSummary, looked_at
from devin_mcp.operations.sessions.tools import SessionPage, get_session, list_sessions

LATEST = 50
IN_REPORT = 20
MOST_MESSAGES = 200

_SPEAKERS = {"devin_message": "Devin", "user_message": "User", "initial_user_message": "Task"}
_REPOSITORY = re.compile(r"https?://[^/]+/([\w.-]+/[\w.-]+)/(?:pull|-/merge_requests)/")


@resource("devin://sessions", tool=list_sessions, lives=True)
async def latest_sessions(devin: ApiCall, house: House) -> ResourceContent:
    """The latest sessions with their phase, newest first."""
    rows = [
        (
            row.phase,
            one_line(row.title, CELL),
            _addresses(row),
            row.updated_at,
            row.session_id,
        )
        for row in await latest(devin, house, fresh=True)
    ]
    lines, missing = table(
        ("Phase", "Title", "Pull requests", "Updated", "Id"), rows, house.result_limit
    )
    text = f"# Sessions\n\n{lines}" if rows else "# Sessions\n\nThere is none yet."
    if missing:
        return ResourceContent(
            text, f"{missing} more do not fit here. Page through them with devin_list_sessions."
        )
    return ResourceContent(
        text,
        "Read one with devin_get_session or at devin://sessions/{id}."
        if rows
        else "Start one with devin_delegate_task.",
    )


def _addresses(session: SessionSummary) -> str:
    return ", ".join(pull_request.url for pull_request in session.pull_requests or ())


async def latest(devin: ApiCall, house: House, *, fresh: bool = False) -> list[SessionSummary]:
    listing = list_sessions.at(devin if fresh else devin.apart())

    async def load() -> list[SessionSummary]:
        return (await listing.send(SessionPage, query={"limit": LATEST, "offset": 0})).sessions

    return await house.cache.get(devin.owner, "sessions", load, fresh=fresh)


@resource("devin://sessions/{session_id}", tool=get_session, lives=True)
async def session_report(devin: ApiCall, house: House, session_id: SessionId) -> ResourceContent:
    """One session: phase, pull request, structured output and its newest messages."""
    body = await _read(devin, session_id)
    # JSON counts a line break as two characters, a quote as three: two thirds fit in any case.
    seen = looked_at(
        body, MessageWindow(count=IN_REPORT, after=None, from_char=0), house.result_limit * 2 // 3
    )
    head = facts(
        phase=seen.phase,
        link=seen.url,
        pull_requests=_addresses(seen),
        tags=", ".join(seen.tags or ()),
        playbook=seen.playbook_id,
        started=seen.created_at,
        updated=seen.updated_at,
        id=seen.session_id,
    )
    parts = [f"# {one_line(seen.title) or 'Session'}", head]
    if seen.structured_output is not None:
        output = seen.model_dump_json(include={"structured_output"})
        parts += ["## Structured output", quoted(output[len('{"structured_output":') : -1])]
    parts.append("## Conversation")
    if seen.messages_before:
        parts.append(f"{seen.messages_before} earlier ones: devin://sessions/{session_id}/messages")
    parts += map(_said, seen.messages)
    if not body.messages:
        parts.append(
            "Nothing can be read while Devin works." if body.is_at_work else "Nothing was said."
        )
    return ResourceContent("\n\n".join(parts), seen.next)


@resource("devin://sessions/{session_id}/messages{?after}", tool=get_session, lives=True)
async def session_messages(
    devin: ApiCall, house: House, session_id: SessionId, after: AfterEvent | None = None
) -> ResourceContent:
    """What was said in a session, from the first message or from the one after `after`."""
    body = await _read(devin, session_id)
    window = MessageWindow(count=MOST_MESSAGES, after=after or START, from_char=0)
    try:
        seen = looked_at(
            body.model_copy(update={"structured_output": None}), window, house.result_limit * 2 // 3
        )
    except Invalid:
        raise Invalid("after names no message of this session.", status=404) from None
    parts = [f"# Messages: {one_line(seen.title) or session_id}", *map(_said, seen.messages)]
    if not seen.messages:
        parts.append("No further message can be read at the moment.")
    elif seen.messages_after and not seen.messages[-1].truncated:
        last = quote(seen.messages[-1].event_id or "", safe="")
        parts.append(
            f"{seen.messages_after} more: devin://sessions/{session_id}/messages?after={last}"
        )
    cut = bool(seen.messages) and seen.messages[-1].truncated
    return ResourceContent("\n\n".join(parts), seen.next if cut else "")


async def _read(devin: ApiCall, session_id: str) -> Session:
    body = await get_session.at(devin).send(Session, session_id=session_id)
    body.url = devin.web_url(body.session_id)
    body.messages = assign_event_ids(body.messages)
    return body


def _said(message: Message) -> str:
    when = f", {one_line(message.timestamp, 40)}" if message.timestamp else ""
    cut = (
        f" (the first {len(message.message)} of {message.length} characters)"
        if message.truncated
        else ""
    )
    return f"### {_SPEAKERS.get(message.type, one_line(message.type))}{when}{cut}\n\n{quoted(message.message)}"


@completes("session_id", tool=list_sessions)
async def known_sessions(
    devin: ApiCall, house: House, filled: Mapping[str, str]
) -> list[Candidate]:
    return [Candidate(row.session_id, (row.title or "",)) for row in await latest(devin, house)]


@completes("session_title", "task", tool=list_sessions)
async def earlier_titles(
    devin: ApiCall, house: House, filled: Mapping[str, str]
) -> list[Candidate]:
    return [Candidate(row.title) for row in await latest(devin, house) if row.title]


@completes("after", tool=get_session)
async def known_messages(
    devin: ApiCall, house: House, filled: Mapping[str, str]
) -> list[Candidate]:
    """Of the session that was filled in before, the newest first."""
    session_id = filled.get("session_id", "")
    if not is_id(session_id):
        return []
    reading = get_session.at(devin.apart())

    async def load() -> Session:
        return await reading.send(Session, session_id=session_id)

    body = await house.cache.get(devin.owner, f"sessions/{session_id}", load)
    return [
        Candidate(one.event_id or "", (one.message,))
        for one in reversed(assign_event_ids(body.messages))
    ]


@completes("repository", tool=list_sessions)
async def repositories_worked_on(
    devin: ApiCall, house: House, filled: Mapping[str, str]
) -> list[Candidate]:
    """Those that sessions opened pull requests in, the latest first."""
    opened = [
        pull_request.url
        for row in await latest(devin, house)
        for pull_request in row.pull_requests or ()
    ]
    return [Candidate(match[1]) for url in opened if (match := _REPOSITORY.match(url))]
