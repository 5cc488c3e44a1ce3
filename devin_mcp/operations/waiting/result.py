"""What came in the sessions that were waited for, as an answer that fits, with a cursor behind just what it tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Self, cast

from pydantic import Field, PrivateAttr, WithJsonSchema

from devin_mcp.api.models import ApiModel
from devin_mcp.errors import NotFound
from devin_mcp.operations.markdown import one_line
from devin_mcp.operations.results import (
    NO_LIMIT,
    ROOM_FOR_NEXT,
    Next,
    Result,
    json_size,
    truncate_row,
)
from devin_mcp.operations.sessions.conversation import Message, messages_after
from devin_mcp.operations.sessions.model import PhaseText, PullRequest, next_by_phase
from devin_mcp.operations.waiting import cursor as cursors
from devin_mcp.operations.waiting.cursor import NOTHING, Seen
from devin_mcp.operations.waiting.target import WaitTarget

MIN_MESSAGE_ROOM = 260
"""Characters for a session's messages, below which they are left for the next call."""
CUT_MESSAGES = (
    "Read truncated messages on with devin_get_session: after_event_id is the message's event_id, from_char the number of "
    "its characters shown here."
)
MORE = "More is there already: call devin_wait_for_sessions again with cursor."
TASK = "initial_user_message"
LONGEST_PROBLEM = 60
"""Characters of a refusal where there is little room."""
MAX_TASK_ECHO = 200
MAX_USER_MESSAGE = 1000
"""Characters shown of the task itself, which the caller knows, and of a message that its own side wrote later."""


class SessionUpdate(ApiModel):
    """One session, with what came since the cursor."""

    session_id: str
    phase: PhaseText | None = None
    problem: str | None = Field(
        None, description="Why it cannot be looked at; it is not waited for"
    )
    changed: list[str] | None = Field(
        None, description="phase, messages, pull_requests, structured_output"
    )
    title: str | None = None
    url: str | None = None
    messages: list[Message] | None = Field(None, description="New ones, oldest first")
    pull_requests: list[PullRequest] | None = None
    structured_output: dict[str, Any] | None = None


class WaitResult(Result):
    """What came, and where to go on."""

    sessions: list[SessionUpdate]
    timed_out: bool
    left_out: int | None = Field(None, description="Sessions that did not fit")
    cursor: str = Field(description="Give this back to go on from here")
    next: Next
    _subjects: list[WaitTarget] = PrivateAttr(default_factory=list)
    _others: Sequence[str] = PrivateAttr(default=())

    def within(self, limit: int) -> WaitResult:
        return told(self._subjects, timed_out=self.timed_out, limit=limit, others=self._others)


Rows = Annotated[
    list[SessionUpdate],
    WithJsonSchema({"type": "array", "items": {"type": "object"}, "description": "What is new"}),
]
"""As the wait tells them, where their schema is published in full; every model pays for every copy of it."""


class WithUpdates(Result):
    """What was done to one session, and after waiting also what came of it."""

    session_id: str
    sessions: Rows | None = None
    timed_out: bool | None = None
    cursor: str | None = Field(None, description="Where to go on waiting")
    next: Next
    _answer: WaitResult | None = PrivateAttr(None)

    def within(self, limit: int) -> Self:
        short = cast(
            "Self",
            truncate_row(self.model_copy(update={"sessions": None, "cursor": None}), limit // 3),
        )
        if self._answer is None:
            return short
        return short.with_news(
            self._answer.within(limit - json_size(short.model_copy(update={"next": ""})))
        )

    def with_news(self, answer: WaitResult) -> Self:
        told = {
            "sessions": answer.sessions,
            "timed_out": answer.timed_out,
            "cursor": answer.cursor,
            "next": answer.next,
        }
        made = self.model_copy(update=told)
        made._answer = answer
        return made


def told(
    subjects: Sequence[WaitTarget], *, timed_out: bool, limit: int, others: Sequence[str] = ()
) -> WaitResult:
    """The answer, with as much as fits, and the cursor behind just that; `others` go along in it."""
    answer = _told(subjects, (), timed_out=timed_out, limit=limit, share=1.0, others=others)
    if limit >= NO_LIMIT or json_size(answer) <= limit:
        return answer
    for share in (0.7, 0.4, 0.1, 0.0):
        answer = _told(subjects, (), timed_out=timed_out, limit=limit, share=share, others=others)
        if json_size(answer) <= limit:
            return answer
    ranked = sorted(subjects, key=_importance)
    for kept in range(len(ranked) - 1, 0, -1):
        left = ranked[kept:]
        shown = [one for one in subjects if one not in left]
        answer = _told(shown, left, timed_out=timed_out, limit=limit, share=0.0, others=others)
        if json_size(answer) <= limit:
            break
    return answer


def _importance(one: WaitTarget) -> int:
    """What has news goes first, so that the next call comes to what had to be left out."""
    return 2 if one.body is None else 0 if _frame(one, 0, with_changes=True).changed else 1


def _told(
    subjects: Sequence[WaitTarget],
    left: Sequence[WaitTarget],
    *,
    timed_out: bool,
    limit: int,
    share: float,
    others: Sequence[str],
) -> WaitResult:
    frames = [_frame(one, int(limit * share) // 3 // len(subjects)) for one in subjects]
    room = (
        limit
        if limit >= NO_LIMIT
        else int((limit - sum(map(json_size, frames)) - ROOM_FOR_NEXT) * share)
    )
    marks = {one.session_id: one.mark for one in left if one.mark is not None}
    rows: list[SessionUpdate] = []
    cut: list[str] = []
    more = False
    for place, (one, row) in enumerate(zip(subjects, frames, strict=True)):
        body = one.body
        if body is None:
            if one.mark is not None:
                marks[one.session_id] = one.mark
            rows.append(row)
            continue
        start = one.mark.count if one.mark else 0
        new = (
            [_theirs(message) for message in body.messages[start:]]
            if one.message_is_visible
            else []
        )
        mine = room if room >= NO_LIMIT else room // (len(subjects) - place)
        shown = _fitting(
            new,
            mine,
            MIN_MESSAGE_ROOM if share else MIN_MESSAGE_ROOM // 2,
            first=not any(row.messages for row in rows),
        )
        room -= sum(json_size(message) + 1 for message in shown) if room < NO_LIMIT else 0
        mark = Seen.of(body, start + len(shown))
        if not one.rests:  # its output was not told yet
            mark = replace(mark, output=(one.mark or NOTHING).output)
        marks[one.session_id] = mark
        rows.append(row.model_copy(update={"messages": shown or None}))
        cut += [
            f"session_id={one.session_id}, after_event_id={message.event_id}, from_char={len(message.message)}"
            for message in shown
            if message.truncated and message.type != TASK
        ]
        more = more or len(shown) < len(new)
    then = "" if more and not share else _next(subjects, timed_out=timed_out)
    advice = [_reading_on(cut), MORE if more or left else "", then if not left else ""]
    result = WaitResult(
        sessions=rows,
        timed_out=timed_out,
        left_out=len(left) or None,
        cursor=cursors.written(marks, others),
        next=" ".join(part for part in advice if part),
    )
    result._subjects, result._others = [*subjects, *left], others
    return result


def _reading_on(cut: Sequence[str]) -> str:
    return (
        f"Read the cut message on with devin_get_session, {cut[0]}."
        if len(cut) == 1
        else CUT_MESSAGES
        if cut
        else ""
    )


def _fitting(new: Sequence[Message], room: int, least: int, *, first: bool) -> list[Message]:
    """The first of the session's new messages; the first session that has some gets on in any case."""
    if room < least and first:
        room = least
    return messages_after(new, "start", 0, len(new), room) if new and room >= least else []


def _theirs(message: Message) -> Message:
    """The caller's side knows what it wrote: a beginning will do."""
    most = MAX_TASK_ECHO if message.type == TASK else MAX_USER_MESSAGE
    return message if message.is_devins or len(message.message) <= most else message.cut(0, most)


def _frame(one: WaitTarget, room: int, *, with_changes: bool = False) -> SessionUpdate:
    body, mark = one.body, one.mark
    if body is None:
        refusal = one.followed.refusal
        unknown = isinstance(refusal, NotFound)
        problem = (
            "Devin does not know this id"
            if unknown
            else refusal.what
            if refusal
            else "Devin has not answered about it yet"
        )
        return SessionUpdate(
            session_id=one.session_id,
            problem=one_line(problem, LONGEST_PROBLEM if room < LONGEST_PROBLEM else 300),
        )
    now, before = Seen.of(body, len(body.messages)), mark or NOTHING
    changed = [
        name
        for name, differs in {
            "phase": mark is None or before.phase != now.phase,
            "messages": now.count > before.count,
            "pull_requests": now.pull_requests != before.pull_requests,
            "structured_output": now.output != before.output,
        }.items()
        if differs
    ]
    # Until Devin's next turn has ended, what it shows is the output of the one before (v1.md §3.6).
    output = body.structured_output if one.rests and "structured_output" in changed else None
    row = SessionUpdate(
        session_id=one.session_id,
        phase=body.phase,
        changed=changed,
        title=body.title if mark is None else None,
        url=body.url if mark is None else None,
        pull_requests=body.pull_requests,
        structured_output=output,
    )
    if json_size(row) > room:
        row.structured_output = (
            None
            if output is None
            else {"truncated": True, "next": "Read it with devin_get_session."}
        )
        row.title = row.title and f"{row.title[:40]}…"
    if json_size(row) > room:
        row.title = row.url = None
    if not room and not with_changes:
        row.changed = None
        if now.pull_requests == before.pull_requests:
            row.pull_requests = None
    return row


def _next(subjects: Sequence[WaitTarget], *, timed_out: bool) -> str:
    again = "call devin_wait_for_sessions again with cursor"
    if timed_out and all(one.body is not None and one.body.phase == "starting" for one in subjects):
        return f"Nothing has begun yet: {again}. If it stays so for minutes, the organization may be out of ACUs."
    if all(one.body is None and one.is_resolved for one in subjects):
        return "It cannot be looked at any more: see problem, and devin_list_sessions for what there is."
    working = [
        one
        for one in subjects
        if (one.body is None and not one.is_resolved) or (one.body and one.body.is_at_work)
    ]
    at_rest = [one for one in subjects if one.body is not None and one.rests]
    if timed_out and (working or not at_rest):
        return f"Devin is still at work: {again}."
    if len(subjects) == 1 and at_rest and at_rest[0].body is not None:
        return next_by_phase(at_rest[0].body)
    if at_rest and working:
        return f"Answer those that wait with devin_send_message. For the others, {again}."
    if at_rest and all(one.body is not None and one.body.is_over for one in at_rest):
        return "All are over. Take what they delivered."
    if at_rest:
        return "None is at work. Answer those that wait with devin_send_message, or take what they delivered."
    return f"Devin is at work: {again}."
