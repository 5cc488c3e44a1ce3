"""What is new in one session of a wait, without its messages."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from devin_mcp.api.models import ApiModel
from devin_mcp.errors import NotFound
from devin_mcp.operations.capabilities import V3, Requires
from devin_mcp.operations.markdown import one_line
from devin_mcp.operations.results import json_chars
from devin_mcp.operations.sessions.conversation import Message
from devin_mcp.operations.sessions.model import Phase, PhaseText, PullRequest
from devin_mcp.operations.waiting.cursor import NOTHING_SEEN, Seen
from devin_mcp.operations.waiting.target import WaitTarget

MAX_PROBLEM_CHARS = 300
MIN_PROBLEM_CHARS = 60
EXPLAINED_PHASES: frozenset[Phase] = frozenset({"waiting", "sleeping", "held", "failed"})
"""Phases whose reason a caller acts on."""


class SessionUpdate(ApiModel):
    """What is new in one session."""

    session_id: str
    phase: PhaseText | None = None
    problem: str | None = Field(
        None, description="Why it cannot be looked at; it is not waited for"
    )
    changed: list[str] | None = Field(
        None, description="phase, messages, pull_requests, structured_output"
    )
    reason: Annotated[str | None, Requires(V3)] = Field(None, description="Devin's status_detail")
    archived: Annotated[bool | None, Requires(V3)] = None
    title: str | None = None
    url: str | None = None
    messages: list[Message] | None = Field(None, description="New ones, oldest first")
    pull_requests: list[PullRequest] | None = None
    structured_output: dict[str, Any] | None = None


def build_row(target: WaitTarget, room: int, *, with_changes: bool = False) -> SessionUpdate:
    """The session without messages, in about `room` characters."""
    session, seen = target.session, target.seen
    if session is None:
        max_chars = MIN_PROBLEM_CHARS if room < MIN_PROBLEM_CHARS else MAX_PROBLEM_CHARS
        problem = one_line(_problem(target), max_chars)
        return SessionUpdate(session_id=target.session_id, problem=problem)
    now, before = Seen.of(session, len(session.messages)), seen or NOTHING_SEEN
    differences = {
        "phase": seen is None or before.phase != now.phase,
        "messages": now.message_count > before.message_count,
        "pull_requests": now.pull_requests != before.pull_requests,
        "structured_output": now.output != before.output,
    }
    changed = [name for name, differs in differences.items() if differs]
    # Until Devin's next turn ends, the session still has the output of the previous one (§3.6).
    output = None
    if target.is_idle and differences["structured_output"]:
        output = session.structured_output
    row = SessionUpdate(
        session_id=target.session_id,
        phase=session.phase,
        changed=changed,
        reason=session.reason if session.phase in EXPLAINED_PHASES else None,
        archived=session.archived,
        title=session.title if seen is None else None,
        url=session.url if seen is None else None,
        pull_requests=session.pull_requests,
        structured_output=output,
    )
    if json_chars(row) > room:
        if output is not None:
            row.structured_output = {"truncated": True, "next": "Read it with devin_get_session."}
        row.title = row.title and f"{row.title[:40]}…"
    if json_chars(row) > room:
        row.title = row.url = None
    if not room and not with_changes:
        row.changed = row.reason = None
        if not differences["pull_requests"]:
            row.pull_requests = None
    return row


def _problem(target: WaitTarget) -> str:
    refusal = target.poller.refusal
    if isinstance(refusal, NotFound):
        return "Devin does not know this id"
    return refusal.message if refusal else "Devin has not answered about it yet"
