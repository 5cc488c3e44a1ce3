"""Sessions as resources and completions: latest sessions, one session, its conversation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import quote

from devin_mcp.errors import DevinError, Invalid
from devin_mcp.operations.browsing import ResourceContent, completes, resource
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import FIRST
from devin_mcp.operations.markdown import MAX_CELL_CHARS, facts, one_line, quoted, table
from devin_mcp.operations.matching import Candidate
from devin_mcp.operations.parameters import SessionId, is_id
from devin_mcp.operations.sessions.conversation import FIRST_EVENT, AfterEvent, Message
from devin_mcp.operations.sessions.files import list_session_files, read_session_files
from devin_mcp.operations.sessions.listing import list_sessions
from devin_mcp.operations.sessions.model import Session, SessionSummary
from devin_mcp.operations.sessions.pages import read_page
from devin_mcp.operations.sessions.tools import get_session, read_session
from devin_mcp.operations.sessions.view import MessageWindow, build_view

MAX_LATEST_SESSIONS = 50
MAX_REPORT_MESSAGES = 20
MAX_MESSAGES = 200
MAX_TIME_CHARS = 40

_AUTHORS = {"devin": "Devin", "user": "User"}
_REPOSITORY = re.compile(r"https?://[^/]+/([\w.-]+/[\w.-]+)/(?:pull|-/merge_requests)/")


@resource("devin://sessions", tool=list_sessions, volatile=True)
async def latest_sessions(ctx: Context) -> ResourceContent:
    """The latest sessions with their phase, newest first."""
    rows = [
        (
            session.phase,
            one_line(session.title, MAX_CELL_CHARS),
            _urls(session),
            session.updated_at,
            session.session_id,
        )
        for session in await _latest(ctx, fresh=True)
    ]
    heads = ("Phase", "Title", "Pull requests", "Updated", "Id")
    lines, left_out = table(heads, rows, ctx.policy.result_limit)
    if not rows:
        return ResourceContent(
            "# Sessions\n\nThere is none yet.", "Start one with devin_delegate_task."
        )
    text = f"# Sessions\n\n{lines}"
    if left_out:
        return ResourceContent(
            text, f"{left_out} more do not fit here. Page through them with devin_list_sessions."
        )
    return ResourceContent(text, "Read one with devin_get_session or at devin://sessions/{id}.")


def _urls(session: SessionSummary) -> str:
    return ", ".join(pull_request.url for pull_request in session.pull_requests or ())


async def _latest(ctx: Context, *, fresh: bool = False) -> list[SessionSummary]:
    reading = ctx if fresh else ctx.detached()

    async def load() -> list[SessionSummary]:
        page = await read_page(reading, list_sessions, {}, FIRST, MAX_LATEST_SESSIONS)
        return page.rows

    return await ctx.cache.get(ctx.key.tenant, "sessions", load, fresh=fresh)


@resource("devin://sessions/{session_id}", tool=get_session, volatile=True)
async def session_report(ctx: Context, session_id: SessionId) -> ResourceContent:
    """One session: phase, pull requests, structured output, files and its newest messages."""
    session, (files, files_left_out) = await asyncio.gather(
        read_session(ctx, session_id), _files_part(ctx, session_id)
    )
    view = build_view(session, MessageWindow(MAX_REPORT_MESSAGES), _room(ctx))
    head = facts(
        phase=view.phase,
        reason=one_line(view.reason),
        archived="yes" if view.archived else None,
        link=view.url,
        pull_requests=_urls(view),
        tags=", ".join(view.tags or ()),
        playbook=view.playbook_id,
        started=view.created_at,
        updated=view.updated_at,
        id=view.session_id,
    )
    parts = [f"# {one_line(view.title) or 'Session'}", head]
    if view.structured_output is not None:
        output = view.model_dump_json(include={"structured_output"})
        parts += ["## Structured output", quoted(output[len('{"structured_output":') : -1])]
    parts += files
    parts.append("## Conversation")
    if view.messages_before:
        parts.append(f"{view.messages_before} earlier ones: devin://sessions/{session_id}/messages")
    parts += map(_message_markdown, view.messages)
    if not session.messages:
        parts.append(
            "Nothing can be read while Devin works." if session.is_working else "Nothing was said."
        )
    more = f" {files_left_out} more files: devin_list_session_files." if files_left_out else ""
    return ResourceContent("\n\n".join(parts), view.next + more)


async def _files_part(ctx: Context, session_id: str) -> tuple[list[str], int]:
    """The files of the session as markdown, and how many are left out."""
    if not ctx.offers(list_session_files):
        return [], 0
    try:
        files = await read_session_files(ctx, session_id)
    except DevinError as error:  # the session itself may be readable
        return ["## Files", f"They could not be read. {error.message}"], 0
    if not files:
        return [], 0
    rows = [
        (
            one_line(file.name, MAX_CELL_CHARS),
            _AUTHORS.get(file.source or "", file.source),
            file.content_type,
            file.url,
        )
        for file in files
    ]
    room = ctx.policy.result_limit // 6
    lines, left_out = table(("Name", "From", "Type", "Address"), rows, room)
    return ["## Files", lines], left_out


@resource("devin://sessions/{session_id}/messages{?after}", tool=get_session, volatile=True)
async def session_messages(
    ctx: Context, session_id: SessionId, after: AfterEvent | None = None
) -> ResourceContent:
    """What was said in a session, from the first message or from the one after `after`."""
    session = await read_session(ctx, session_id)
    session.structured_output = None
    try:
        view = build_view(session, MessageWindow(MAX_MESSAGES, after or FIRST_EVENT), _room(ctx))
    except Invalid:
        raise Invalid("after names no message of this session.", status=404) from None
    parts = [f"# Messages: {one_line(view.title) or session_id}"]
    parts += map(_message_markdown, view.messages)
    if not view.messages:
        parts.append("No further message can be read at the moment.")
        return ResourceContent("\n\n".join(parts))
    last = view.messages[-1]
    if last.truncated:
        return ResourceContent("\n\n".join(parts), view.next)
    if view.messages_after:
        event_id = quote(last.event_id or "", safe="")
        parts.append(
            f"{view.messages_after} more: devin://sessions/{session_id}/messages?after={event_id}"
        )
    return ResourceContent("\n\n".join(parts))


def _room(ctx: Context) -> int:
    """JSON counts a line break as two characters and a quote as three: two thirds always fit."""
    return ctx.policy.result_limit * 2 // 3


def _message_markdown(message: Message) -> str:
    author = "Task" if message.is_task else _AUTHORS.get(message.source, one_line(message.source))
    time = f", {one_line(message.created_at, MAX_TIME_CHARS)}" if message.created_at else ""
    part = ""
    if message.truncated:
        part = f" (the first {len(message.message)} of {message.length} characters)"
    return f"### {author}{time}{part}\n\n{quoted(message.message)}"


@completes("session_id", tool=list_sessions)
async def session_candidates(ctx: Context, _: Mapping[str, str]) -> list[Candidate]:
    sessions = await _latest(ctx)
    return [Candidate(session.session_id, (session.title or "",)) for session in sessions]


@completes("task", tool=list_sessions)
async def earlier_titles(ctx: Context, _: Mapping[str, str]) -> list[Candidate]:
    return [Candidate(session.title) for session in await _latest(ctx) if session.title]


@completes("after", tool=get_session)
async def message_candidates(ctx: Context, arguments: Mapping[str, str]) -> list[Candidate]:
    """Messages of the session that was filled in before, newest first."""
    session_id = arguments.get("session_id", "")
    if not is_id(session_id):
        return []
    reading = ctx.detached()

    async def load() -> Session:
        return await read_session(reading, session_id)

    session = await ctx.cache.get(ctx.key.tenant, f"sessions/{session_id}", load)
    return [
        Candidate(message.event_id or "", (message.message,))
        for message in reversed(session.messages)
    ]
