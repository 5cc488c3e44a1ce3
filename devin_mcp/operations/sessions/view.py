"""A session as tools and resources show it: its facts, its output, and a window on its
conversation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from devin_mcp.operations.capabilities import V1, Requires
from devin_mcp.operations.results import (
    NO_LIMIT,
    ROOM_FOR_NEXT,
    Next,
    Result,
    json_chars,
    prefix_that_fits,
    truncate_row,
)
from devin_mcp.operations.sessions.conversation import Message, latest_messages, messages_after
from devin_mcp.operations.sessions.model import Phase, Session, SessionSummary

APPROVAL = "waiting_for_approval"
"""v3 `status_detail` of a session that a person must approve (v3-additions.md §5.3)."""


@dataclass(frozen=True)
class MessageWindow:
    """The part of a session that was asked for."""

    count: int
    """Messages at most."""
    after: str | None = None
    """Event id to read on after; None shows the newest messages."""
    from_char: int = 0
    """Start within the text of `after`, or without it within the structured output."""


class SessionView(SessionSummary, Result):
    """One session with a window on its conversation."""

    next: Next
    snapshot_id: Annotated[str | None, Requires(V1)] = None
    structured_output: dict[str, Any] | None = Field(
        None, description="As asked for with structured_output_schema"
    )
    messages: list[Message] = Field(description="Oldest first")
    messages_before: int | None = Field(None, description="Older ones left out")
    messages_after: int | None = Field(None, description="Newer ones left out")


_COPIED = [name for name in Session.model_fields if name not in {"messages", "structured_output"}]


def build_view(session: Session, window: MessageWindow, limit: int = NO_LIMIT) -> SessionView:
    """The view in at most `limit` characters of JSON. Raises Invalid for an unknown message."""
    facts = {name: getattr(session, name) for name in _COPIED}
    # Not validated again: the session was validated when it was decoded.
    view = SessionView.model_construct(**facts, next="", structured_output=None, messages=[])
    if limit < NO_LIMIT and json_chars(view) > limit // 3:
        view = truncate_row(view, limit // 3)
    view.structured_output, output_hint = _output_part(session.structured_output, window, limit)
    room = limit if limit >= NO_LIMIT else limit - json_chars(view) - ROOM_FOR_NEXT
    messages = session.messages
    if window.after is None:
        visible_messages = latest_messages(messages, window.count, room)
    else:
        visible_messages = messages_after(
            messages, window.after, window.from_char, window.count, room
        )
    before, after = _left_out(messages, visible_messages, window.after)
    view.messages = visible_messages
    view.messages_before, view.messages_after = before or None, after or None
    view.next = _next(session, visible_messages, window, before, after) + output_hint
    return view


def _left_out(
    messages: list[Message], visible_messages: list[Message], after: str | None
) -> tuple[int, int]:
    """How many messages come before and after `visible_messages`."""
    if visible_messages:
        ids = {visible_messages[0].event_id, visible_messages[-1].event_id}
        places = [index for index, message in enumerate(messages) if message.event_id in ids]
        if places:
            return places[0], len(messages) - places[-1] - 1
    start = len(messages)  # nothing is visible: the window is at the end, or behind `after`
    if after is not None:
        places = [index for index, message in enumerate(messages) if message.event_id == after]
        start = places[0] + 1 if places else 0
    return start, len(messages) - start


def _output_part(
    output: dict[str, Any] | None, window: MessageWindow, limit: int
) -> tuple[dict[str, Any] | None, str]:
    """The structured output and a hint. One that would fill the answer becomes a part of its JSON,
    which is read on with from_char.
    """
    if output is None or (limit >= NO_LIMIT and not window.from_char):
        return output, ""
    text = json.dumps(output, ensure_ascii=False, separators=(",", ":"))
    start = window.from_char if window.after is None else 0
    if not start and len(text) * 3 <= limit:
        return output, ""
    part = prefix_that_fits(text[start:], limit // 3 - 100)
    end = start + len(part)
    truncated = {"truncated": True, "length": len(text), "from_char": start, "json": part}
    if end >= len(text):
        return truncated, ""
    return (
        truncated,
        f" Read the structured output on with devin_get_session, from_char={end}.",
    )


def _next(
    session: Session,
    visible_messages: list[Message],
    window: MessageWindow,
    before: int,
    after: int,
) -> str:
    sentences = [next_step(session)]
    truncated = next((message for message in visible_messages if message.truncated), None)
    if truncated is not None and truncated.length is not None:
        start = window.from_char if truncated.event_id == window.after else 0
        end = start + len(truncated.message)
        if end < truncated.length:
            sentences.append(
                "A message was cut: devin_get_session with "
                f"after_event_id={truncated.event_id}, from_char={end} reads it on."
            )
            after = 0
    if after:
        last = visible_messages[-1].event_id if visible_messages else window.after
        sentences.append(f"{after} more follow: devin_get_session with after_event_id={last}.")
    elif before and window.after is None:
        sentences.append(
            f"{before} older left out: devin_get_session with after_event_id=start reads from "
            "the first."
        )
    return " ".join(sentences)


def next_step(session: Session) -> str:
    """What the caller can do next, in one or two sentences."""
    if session.archived and session.can_be_ended:
        return ARCHIVED
    if session.phase == "waiting":
        return _next_of_waiting(session)
    if session.phase == "done" and session.pull_requests:
        return "Devin is done. Take the pull request."
    if session.phase == "done" and session.structured_output:
        return "Devin is done. Take the structured output."
    if session.phase == "sleeping" and (session.pull_requests or session.structured_output):
        # Finished work falls asleep after a while (v3.md §5.3).
        return (
            "The session sleeps and has delivered: take the pull request or the structured output. "
            "devin_send_message wakes it, which costs ACUs."
        )
    return NEXT_BY_PHASE[session.phase].format(because=_because(session))


ARCHIVED = (
    "The session is archived: it can be read, and takes no messages. "
    "devin_archive_session with archived=false takes it back."
)
NEXT_BY_PHASE: dict[Phase, str] = {
    "starting": "Devin is at work. Wait for it with devin_wait_for_sessions.",
    "working": "Devin is at work. Wait for it with devin_wait_for_sessions.",
    "done": "Devin is done. Read its last message.",
    "sleeping": "The session sleeps. Wake it with devin_send_message.",
    "held": "Devin is on hold{because}: a person must act in Devin's web app, for example raise a "
    "limit or add ACUs. It takes no messages before that.",
    "failed": "Devin failed{because}. Try devin_send_message, or start anew with "
    "devin_delegate_task.",
    "ended": "The session is over and takes no messages. Start anew with devin_delegate_task.",
}
"""For a waiting session it depends on what it waits for."""


def _next_of_waiting(session: Session) -> str:
    if session.reason == APPROVAL:
        where = session.url or "Devin's web app"
        return f"Devin waits for a person's approval at {where}. No message can approve it."
    last = session.messages[-1] if session.messages else None
    if last is None or not last.is_from_devin:
        # The final message can become readable up to 60 s after the status changes (v1.md §3.6).
        return (
            "Devin's turn has ended; the final message is not readable yet. Read it again in ten "
            "seconds with devin_get_session."
        )
    is_question = last.message.rstrip().endswith("?")
    if is_question or not (session.pull_requests or session.structured_output):
        return "Devin waits for you. Answer it with devin_send_message."
    return "Devin has delivered. Take the pull request or ask for changes with devin_send_message."


def _because(session: Session) -> str:
    """Devin's reason, if it is one plain word."""
    is_word = session.reason is not None and re.fullmatch(r"[a-z_]{1,60}", session.reason)
    return f" ({session.reason})" if is_word else ""
