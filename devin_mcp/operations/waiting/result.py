"""The wait result: what is new in each session, shortened to fit, and a cursor for exactly that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, WithJsonSchema

from devin_mcp.operations.capabilities import V3, Requires
from devin_mcp.operations.results import (
    NO_LIMIT,
    ROOM_FOR_NEXT,
    Next,
    Result,
    Truncatable,
    json_chars,
    truncate_row,
)
from devin_mcp.operations.sessions.conversation import FIRST_EVENT, Message, messages_after
from devin_mcp.operations.sessions.model import PhaseText, PullRequest
from devin_mcp.operations.waiting.cursor import NOTHING_SEEN, Seen, encode_wait_cursor
from devin_mcp.operations.waiting.next_step import next_step_of_wait
from devin_mcp.operations.waiting.session_update import SessionUpdate, build_row
from devin_mcp.operations.waiting.target import WaitTarget

MIN_UPDATE_CHARS = 260
"""Characters for a session's messages, below which they are left for the next call."""
MAX_TASK_CHARS = 200
MAX_USER_MESSAGE_CHARS = 1000
"""Characters shown of the task, and of other messages that the caller wrote."""
LIMIT_SHARES = (0.7, 0.4, 0.1, 0.0)
"""Parts of the limit that outputs and messages may take, tried until the result fits."""

MORE_HINT = "More is there already: call devin_wait_for_sessions again with cursor."
READ_ON_HINT = (
    "Read truncated messages on with devin_get_session: after_event_id is the message's event_id, "
    "from_char the number of its characters shown here."
)


class WaitResult(Result):
    """What is new in all sessions, and where to continue."""

    sessions: list[SessionUpdate]
    timed_out: bool
    left_out: int | None = Field(None, description="Sessions that did not fit")
    cursor: str = Field(description="Give this back to go on from here")
    next: Next


WITHOUT_DETAILS = WithJsonSchema({"type": "array", "items": {"type": "object"}})
"""As in WaitResult, but without the details of the schema: each copy costs tokens in every
conversation.
"""


class WithUpdates(Result):
    """What was done to one session, and after waiting what is new in it."""

    session_id: str
    phase: PhaseText | None = None
    reason: Annotated[str | None, Requires(V3)] = None
    problem: str | None = None
    messages: Annotated[list[Message], WITHOUT_DETAILS] | None = None
    pull_requests: Annotated[list[PullRequest], WITHOUT_DETAILS] | None = None
    structured_output: dict[str, Any] | None = None
    timed_out: bool | None = None
    cursor: str | None = Field(None, description="Where to go on waiting")
    next: Next

    def updated(self, wait: WaitResult) -> Self:
        """A copy with what is new. The caller knows the task: it has just written it."""
        (row,) = wait.sessions
        return self.model_copy(
            update={
                "phase": row.phase or self.phase,
                "reason": row.reason,
                "problem": row.problem,
                "messages": [item for item in row.messages or () if not item.is_task] or None,
                "pull_requests": row.pull_requests,
                "structured_output": row.structured_output,
                "timed_out": wait.timed_out,
                "cursor": wait.cursor,
                "next": wait.next,
            }
        )


UpdatesT = TypeVar("UpdatesT", bound=WithUpdates)
BuildWait = Callable[[int], WaitResult]


def with_updates(done: UpdatesT, wait: BuildWait | None) -> Truncatable[UpdatesT]:
    """The result of a write, together with that of the wait after it, if there was one."""

    def build(limit: int) -> UpdatesT:
        if limit >= NO_LIMIT:
            return done if wait is None else done.updated(wait(limit))
        short = truncate_row(done, limit // 3)
        if wait is None:
            return short
        return short.updated(wait(limit - json_chars(short.model_copy(update={"next": ""}))))

    return Truncatable(build)


def build_wait_result(
    targets: Sequence[WaitTarget], limit: int, *, timed_out: bool, others: Sequence[str] = ()
) -> WaitResult:
    """The result within `limit`. The cursor covers exactly what is included.

    `others` are parts of the old cursor to carry over.
    """
    result = _build(targets, (), timed_out=timed_out, limit=limit, share=1.0, others=others)
    if limit >= NO_LIMIT or json_chars(result) <= limit:
        return result
    for share in LIMIT_SHARES:
        result = _build(targets, (), timed_out=timed_out, limit=limit, share=share, others=others)
        if json_chars(result) <= limit:
            return result
    # Sessions with news come first, so that the next call shows those left out here.
    ranked = sorted(targets, key=_rank)
    for count in range(len(ranked) - 1, 0, -1):
        left_out = ranked[count:]
        included = [target for target in targets if target not in left_out]
        result = _build(
            included, left_out, timed_out=timed_out, limit=limit, share=0.0, others=others
        )
        if json_chars(result) <= limit:
            break
    return result


def _rank(target: WaitTarget) -> int:
    if target.session is None:
        return 2
    return 0 if build_row(target, 0, with_changes=True).changed else 1


def _build(
    targets: Sequence[WaitTarget],
    left_out: Sequence[WaitTarget],
    *,
    timed_out: bool,
    limit: int,
    share: float,
    others: Sequence[str],
) -> WaitResult:
    row_room = int(limit * share) // 3 // len(targets)
    rows = [build_row(target, row_room) for target in targets]
    room = limit
    if limit < NO_LIMIT:
        room = int((limit - sum(map(json_chars, rows)) - ROOM_FOR_NEXT) * share)
    min_room = MIN_UPDATE_CHARS if share else MIN_UPDATE_CHARS // 2
    seen = {target.session_id: target.seen for target in left_out if target.seen is not None}
    truncated: list[str] = []
    has_more, has_messages = False, False
    for index, (target, row) in enumerate(zip(targets, rows, strict=True)):
        session = target.session
        if session is None:
            if target.seen is not None:
                seen[target.session_id] = target.seen
            continue
        first = target.seen.message_count if target.seen else 0
        new_messages: list[Message] = []
        if target.message_is_visible:
            new_messages = [_shorten_own(message) for message in session.messages[first:]]
        own_room = room if room >= NO_LIMIT else room // (len(targets) - index)
        if own_room < min_room and not has_messages:
            own_room = min_room  # one session always makes progress
        fitting_messages = _fitting(new_messages, own_room, min_room)
        if room < NO_LIMIT:
            room -= sum(json_chars(message) + 1 for message in fitting_messages)
        row.messages = fitting_messages or None
        has_messages = has_messages or bool(fitting_messages)
        has_more = has_more or len(fitting_messages) < len(new_messages)
        seen[target.session_id] = _seen_now(target, first + len(fitting_messages))
        truncated += [
            f"session_id={target.session_id}, after_event_id={message.event_id}, "
            f"from_char={len(message.message)}"
            for message in fitting_messages
            if message.truncated and not message.is_task
        ]
    sentences = [_how_to_read_on(truncated), MORE_HINT if has_more or left_out else ""]
    if not left_out and (share or not has_more):
        sentences.append(next_step_of_wait(targets, timed_out=timed_out))
    return WaitResult(
        sessions=rows,
        timed_out=timed_out,
        left_out=len(left_out) or None,
        cursor=encode_wait_cursor(seen, others),
        next=" ".join(sentence for sentence in sentences if sentence),
    )


def _seen_now(target: WaitTarget, message_count: int) -> Seen:
    """What the caller has seen after this result. The structured output of a
    working session is not returned, so it does not count as seen.
    """
    assert target.session is not None  # noqa: S101 - the caller checks it
    seen = Seen.of(target.session, message_count)
    if target.is_idle:
        return seen
    return replace(seen, output=(target.seen or NOTHING_SEEN).output)


def _how_to_read_on(truncated: Sequence[str]) -> str:
    if len(truncated) == 1:
        return f"Read the cut message on with devin_get_session, {truncated[0]}."
    return READ_ON_HINT if truncated else ""


def _fitting(messages: Sequence[Message], room: int, min_room: int) -> list[Message]:
    """The first messages that fit into `room` characters; none below `min_room`."""
    if not messages or room < min_room:
        return []
    return messages_after(messages, FIRST_EVENT, 0, len(messages), room)


def _shorten_own(message: Message) -> Message:
    """Shorten a message that the caller wrote to its first characters."""
    limit = MAX_TASK_CHARS if message.is_task else MAX_USER_MESSAGE_CHARS
    if message.is_from_devin or len(message.message) <= limit:
        return message
    return message.slice(0, limit)
