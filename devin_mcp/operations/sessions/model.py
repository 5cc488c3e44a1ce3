"""How far one session is: its phase, the window on what it said, and what to do next."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, PrivateAttr, WithJsonSchema, model_validator

from devin_mcp.api.models import ApiModel, ListOrNull, Time
from devin_mcp.operations.results import (
    NO_LIMIT,
    ROOM_FOR_NEXT,
    Next,
    Result,
    json_size,
    prefix_that_fits,
    truncate_row,
)
from devin_mcp.operations.sessions.conversation import Message, messages_after, newest

Phase = Literal["starting", "working", "waiting", "done", "sleeping", "ended"]

AT_WORK: frozenset[Phase] = frozenset({"starting", "working"})

PhaseText = Annotated[Phase, WithJsonSchema({"type": "string"})]
"""Where the list of phases need not be published once more: every model pays for every copy of it."""

_PHASES: dict[str | None, Phase] = {
    None: "starting",
    "blocked": "waiting",  # the turn ended: Devin asked, or delivered; the usual way a good task ends (v1.md §3.4)
    "finished": "done",
    "suspend_requested": "sleeping",
    "suspend_requested_frontend": "sleeping",
    "suspended": "sleeping",
    "expired": "ended",
    "stopped": "ended",
}
"""Everything else is `working`: working, running, claimed, resumed, resume_requested… and what Devin adds one day."""


class PullRequest(ApiModel):
    url: str
    state: str | None = None


def _as_object(value: object) -> object:
    return value if value is None or isinstance(value, dict) else {"value": value}


def _as_word(value: object) -> object:
    return value if value is None or isinstance(value, str) else "unknown"


def _pull_requests(session: dict[str, Any]) -> list[dict[str, Any]] | None:
    """v1 has one `pull_request`, the Organization API a list of `pull_requests` (migration.md)."""
    listed = session.get("pull_requests", [session.get("pull_request")])
    known = [
        {"url": item["url"], "state": item.get("state")}
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and isinstance(item.get("url"), str)
    ]
    return known or None


class SessionSummary(ApiModel):
    """A session in a list, in Devin's own words and with a phase made of `status_enum` alone."""

    session_id: str
    phase: Phase = Field(description="waiting = Devin's turn ended: it asked or delivered")
    title: str | None = None
    url: str | None = None
    pull_requests: list[PullRequest] | None = None
    status: str | None = None
    status_enum: Annotated[str | None, BeforeValidator(_as_word)] = None
    tags: ListOrNull[str] = []
    playbook_id: str | None = None
    requesting_user_email: str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_phase(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        word = value.get("status_enum")
        return {
            **value,
            "phase": "starting" if word is None else _PHASES.get(str(word).lower(), "working"),
            "pull_requests": _pull_requests(value),
        }


class Session(SessionSummary):
    """A session as GET answers it, whole."""

    snapshot_id: str | None = None
    structured_output: Annotated[dict[str, Any] | None, BeforeValidator(_as_object)] = None
    messages: ListOrNull[Message] = []

    @property
    def is_at_work(self) -> bool:
        return self.phase in AT_WORK

    @property
    def is_over(self) -> bool:
        return self.phase in {"done", "ended"}


class MessageWindow(ApiModel):
    """Which part of a session was asked for."""

    count: int
    after: str | None
    from_char: int


class SessionView(SessionSummary, Result):
    """One session with a window on its conversation."""

    next: Next
    snapshot_id: str | None = None
    structured_output: dict[str, Any] | None = Field(
        None, description="As asked for with structured_output_schema"
    )
    messages: list[Message] = Field(description="Oldest first")
    messages_before: int | None = Field(None, description="Older ones left out")
    messages_after: int | None = Field(None, description="Newer ones left out")
    _body: Session = PrivateAttr()
    _window: MessageWindow = PrivateAttr()

    def within(self, limit: int) -> SessionView:
        return looked_at(self._body, self._window, limit)


_FACTS = [name for name in Session.model_fields if name not in {"messages", "structured_output"}]


def looked_at(body: Session, window: MessageWindow, limit: int = NO_LIMIT) -> SessionView:
    said = body.messages
    facts = {name: getattr(body, name) for name in _FACTS}
    # read leniently a moment ago, so not checked again
    frame = SessionView.model_construct(**facts, next="", structured_output=None, messages=[])
    if limit < NO_LIMIT and json_size(frame) > limit // 3:
        frame = cast("SessionView", truncate_row(frame, limit // 3))
    output, output_next = _output_window(body.structured_output, window, limit)
    frame.structured_output = output
    room = limit if limit >= NO_LIMIT else limit - json_size(frame) - ROOM_FOR_NEXT
    if window.after is not None:
        shown = messages_after(said, window.after, window.from_char, window.count, room)
    else:
        shown = newest(said, window.count, room)
    places = [
        place
        for place, one in enumerate(said)
        if shown and one.event_id in {shown[0].event_id, shown[-1].event_id}
    ]
    if not places:  # nothing is shown: it would stand behind the message asked for, or at the end
        places = [_place(said, window.after) + 1]
        before, after = places[0], len(said) - places[0]
    else:
        before, after = places[0], len(said) - places[-1] - 1
    frame.messages, frame.messages_before, frame.messages_after = (
        shown,
        before or None,
        after or None,
    )
    frame.next = _next(body, shown, window, before, after) + output_next
    frame._body, frame._window = body, window
    return frame


def _place(said: list[Message], after: str | None) -> int:
    if after is None:
        return len(said) - 1
    return next((place for place, one in enumerate(said) if one.event_id == after), -1)


def _output_window(
    output: dict[str, Any] | None, window: MessageWindow, limit: int
) -> tuple[dict[str, Any] | None, str]:
    """A structured output that would fill the answer is shown as a piece of its JSON, to be read on with from_char."""
    if output is None or (limit >= NO_LIMIT and not window.from_char):
        return output, ""
    whole = json.dumps(output, ensure_ascii=False, separators=(",", ":"))
    start = window.from_char if window.after is None else 0
    if not start and len(whole) * 3 <= limit:
        return output, ""
    piece = prefix_that_fits(whole[start:], limit // 3 - 100)
    end = start + len(piece)
    cut = {"truncated": True, "length": len(whole), "from_char": start, "json": piece}
    return (
        cut,
        f" Read the structured output on with devin_get_session, from_char={end}."
        if end < len(whole)
        else "",
    )


def _next(
    body: Session, shown: list[Message], window: MessageWindow, before: int, after: int
) -> str:
    parts = [next_by_phase(body)]
    cut = next((one for one in shown if one.truncated), None)
    if cut is not None and cut.length is not None:
        start = window.from_char if cut.event_id == window.after else 0
        end = start + len(cut.message)
        if end < cut.length:
            parts.append(
                f"A message was cut: devin_get_session with after_event_id={cut.event_id}, from_char={end} reads it on."
            )
            after = 0
    if after:
        last = shown[-1].event_id if shown else window.after
        parts.append(f"{after} more follow: devin_get_session with after_event_id={last}.")
    elif before and window.after is None:
        parts.append(
            f"{before} older left out: devin_get_session with after_event_id=start reads from the first."
        )
    return " ".join(parts)


def next_by_phase(body: Session) -> str:
    match body.phase:
        case "starting" | "working":
            return "Devin is at work. Wait for it with devin_wait_for_sessions."
        case "sleeping":
            return "The session sleeps. Wake it with devin_send_message."
        case "ended":
            return "The session is over and takes no messages. Start anew with devin_delegate_task."
        case "done":
            return (
                "Devin is done. Take the pull request."
                if body.pull_requests
                else "Devin is done. Read its last message."
            )
    last = body.messages[-1] if body.messages else None
    if last is None or not last.is_devins:
        # v1 says blocked before the last message can be read, for up to a minute (v1.md §3.6)
        return "Devin's turn has ended; its last words are not readable yet. Look again in ten seconds with devin_get_session."
    if last.message.rstrip().endswith("?") or not (body.pull_requests or body.structured_output):
        return "Devin waits for you. Answer it with devin_send_message."
    return "Devin has delivered. Take the pull request or ask for changes with devin_send_message."
