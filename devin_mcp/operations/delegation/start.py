"""Starting the session of a delegation once: found if it was started before, found again if the
reply is lost, asked for differently if Devin refuses a field.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from devin_mcp.errors import (
    Broken,
    DevinError,
    Invalid,
    NotAllowed,
    NotSent,
    ReplyLost,
    SlowDown,
)
from devin_mcp.operations.context import Context
from devin_mcp.operations.delegation.result import Delegated
from devin_mcp.operations.delegation.task import Task, prompt_with_repository
from devin_mcp.operations.idempotency import IdempotentStart
from devin_mcp.operations.parameters import MAX_TEXT_CHARS
from devin_mcp.operations.sessions.lookup import (
    latest_sessions_with_title_mark,
    sessions_with_tag,
    sessions_with_title_mark,
)
from devin_mcp.operations.sessions.model import WORKING_PHASES, SessionSummary
from devin_mcp.operations.sessions.start import SessionRequest, start_session
from devin_mcp.operations.sessions.tools import create_session, read_session
from devin_mcp.operations.sessions.view import next_step

SEARCH_SECONDS = 12.0
"""Part of the call that is reserved for finding the session if the reply is lost."""
MIN_START_SECONDS = 2.0
"""A start is not begun with less time than this."""
SEARCH_DELAYS_SECONDS = (0.5, 1.0, 2.0, 3.0, 4.0)
"""Seconds before each search for a session that may have been started."""
IDEMPOTENCY_DAYS = 365
"""Age of a session that is still found by its idempotency key (v3 only; v1 cannot filter by time).
"""
CLOCK_DIFFERENCE_SECONDS = 300
"""Devin's clock may be this much behind."""
FIELD_REFUSED_STATUSES = frozenset({400, 422})
"""A refusal of a value. Any other one, such as a limit or a missing permission, is not worked
around."""
MAX_MARKED_TITLE_CHARS = 200
"""Of a title with a mark at its end. Devin's limit is not documented; a title that Devin shortens
loses the mark."""
MAX_TITLE_CHARS = 60
"""Of a title that is made from the prompt."""

Find = Callable[[Context, str, int], Awaitable[list[SessionSummary]]]
"""From tag or mark and a Unix second to the sessions that were created after it, newest first."""


@dataclass(frozen=True)
class Attempt:
    """A request for a session, and how to find the session again."""

    request: SessionRequest
    find: Find = sessions_with_tag
    remark: str = ""
    """What Devin refused before."""


async def start_once(
    ctx: Context, start: IdempotentStart, tag: str, task: Task, request: SessionRequest
) -> Delegated:
    """Start the session; if the reply is lost, find it. What Devin refuses is asked for in another
    way: a refused request started nothing. Raises ReplyLost if the outcome is unknown.
    """
    attempt = Attempt(request)
    while True:
        starting = ctx.reserving(SEARCH_SECONDS)
        if starting.deadline.seconds_left() < MIN_START_SECONDS:
            raise NotSent(
                "Preparing took so long that the session could not be started in the time a call "
                "has."
            )
        sent_at = int(time.time()) - CLOCK_DIFFERENCE_SECONDS
        try:
            created = await start_session(starting, create_session, attempt.request, start.on_sent)
        except ReplyLost as lost:
            return await _find_after_lost_reply(ctx, start, tag, attempt, lost, sent_at)
        except Invalid as refusal:
            next_attempt = _without_refused_field(attempt, refusal, tag)
            if next_attempt is None:
                raise
            if next_attempt.find is not attempt.find and start.has_key:
                earlier = await next_attempt.find(ctx, tag, _oldest())
                if earlier:
                    session_id = earlier[-1].session_id
                    return await _describe_earlier(ctx, session_id, tag, start, task)
            start.marks_title = next_attempt.find is sessions_with_title_mark
            attempt = next_attempt
            continue
        return Delegated(
            session_id=created.session_id,
            phase=created.phase,
            url=created.url,
            is_new_session=True,
            max_acu_limit=created.max_acu_limit,
            tag=tag if attempt.find is sessions_with_tag else None,
            remark=attempt.remark or None,
            next=created.next,
        )


def _without_refused_field(attempt: Attempt, refusal: Invalid, tag: str) -> Attempt | None:
    """The attempt without what Devin refused; None if that was something else."""
    request = attempt.request
    if refusal.status not in FIELD_REFUSED_STATUSES:
        return None
    if "repos" in refusal.named_fields and request.repositories:
        prompt = prompt_with_repository(request.prompt, ", ".join(request.repositories))
        if len(prompt) > MAX_TEXT_CHARS:
            return None
        remark = "Devin did not accept the repository as such, so the prompt names it."
        return replace(
            attempt,
            request=replace(request, prompt=prompt, repositories=None),
            remark=f"{attempt.remark} {remark}".strip(),
        )
    if "tags" in refusal.named_fields and request.tags and tag in request.tags:
        title = request.title or " ".join(request.prompt.split())[:MAX_TITLE_CHARS]
        title = title[: MAX_MARKED_TITLE_CHARS - len(tag)]
        remark = f"Devin accepts only certain tags, so the title ends with {tag} instead."
        return replace(
            attempt,
            request=replace(
                request,
                title=f"{title} {tag}",
                tags=[other for other in request.tags if other != tag] or None,
            ),
            find=sessions_with_title_mark,
            remark=f"{attempt.remark} {remark}".strip(),
        )
    return None


async def find_earlier(
    ctx: Context, start: IdempotentStart, tag: str, task: Task
) -> Delegated | None:
    """The session started for the same idempotency_key, by this process or another.

    Raises NotAllowed if the key may not look: then nothing is started.
    """
    session_id, others = start.session_id, 0
    if session_id is None:
        try:
            rows = await sessions_with_tag(ctx, tag, _oldest())
        except NotAllowed as refusal:
            refusal.message = (
                "Whether this was delegated before cannot be looked up, so nothing was started. "
                f"{refusal.message}"
            )
            raise
        if not rows and start.in_doubt:
            find = sessions_with_title_mark if start.marks_title else sessions_with_tag
            late = await _search(ctx, start, tag, find, _oldest(), must_look=True)
            rows = [late] if late else []
        if not rows:
            # Tags may have been refused then, and not now, or not on the other API.
            rows = await latest_sessions_with_title_mark(ctx, tag, _oldest())
        if not rows:
            return None
        session_id, others = rows[-1].session_id, len(rows) - 1
    return await _describe_earlier(ctx, session_id, tag, start, task, others)


async def _describe_earlier(
    ctx: Context, session_id: str, tag: str, start: IdempotentStart, task: Task, others: int = 0
) -> Delegated:
    """The session that was started before. Raises Invalid if it has another task."""
    remark = "Started before for the same idempotency_key"
    try:
        session = await read_session(ctx, session_id)
    except (Broken, NotSent, SlowDown) as error:  # it exists, and that is what matters
        return Delegated(
            session_id=session_id,
            phase="starting",
            url=ctx.web_url(session_id),
            is_new_session=False,
            tag=tag,
            remark=f"{remark}; how it stands could not be read now. {error.message}",
            next="Look at it with devin_get_session.",
        )
    same_task = task.is_of(session, start)
    if same_task is False:
        raise Invalid(
            f"This idempotency_key belongs to session {session_id}, which was started with another "
            "prompt.",
            "Nothing was started. Look at it with devin_get_session, or take another "
            "idempotency_key.",
        )
    remark += "."
    if same_task is None:
        remark += " Whether with the same prompt cannot be read while Devin works."
    if others:
        remark += f" So were {others} more: see them with the tag."
    return Delegated(
        session_id=session_id,
        phase=session.phase,
        url=session.url,
        is_new_session=False,
        tag=tag if tag in session.tags else None,
        remark=remark,
        next=next_step(session),
    )


async def _find_after_lost_reply(
    ctx: Context,
    start: IdempotentStart,
    tag: str,
    attempt: Attempt,
    lost: ReplyLost,
    created_after: int,
) -> Delegated:
    row = await _search(ctx, start, tag, attempt.find, created_after)
    has_tag = attempt.find is sessions_with_tag
    if row is None:
        where = f"with the tag {tag}" if has_tag else f"whose title ends with {tag}"
        how = f", tags=[{tag}]," if has_tag else " for that title"
        raise ReplyLost(
            f"{lost.message} No session {where} could be found yet.",
            f"One may still appear and cost ACUs. Look with devin_list_sessions{how} before "
            "handing it over again.",
            status=lost.status,
        )
    found = "tag" if has_tag else "title"
    remark = f"Devin's reply was lost; this is the session it started, found by its {found}."
    return Delegated(
        session_id=row.session_id,
        phase=row.phase,
        url=row.url or ctx.web_url(row.session_id),
        is_new_session=True,
        tag=tag if has_tag else None,
        remark=f"{attempt.remark} {remark}".strip(),
        next="Devin has begun. Wait for it with devin_wait_for_sessions."
        if row.phase in WORKING_PHASES
        else "Look at it with devin_get_session.",
    )


async def _search(
    ctx: Context,
    start: IdempotentStart,
    tag: str,
    find: Find,
    created_after: int,
    *,
    must_look: bool = False,
) -> SessionSummary | None:
    """Look a few times for a session that may have been started; a late reply ends the search.

    With `must_look`, raises the error of the last look: then it is not known that there is none.
    """
    failure: DevinError | None = None
    if ctx.report is not None:
        await ctx.report("The reply was lost; looking whether the session was started")
    for delay in SEARCH_DELAYS_SECONDS:
        await ctx.client.clock.sleep(min(delay, ctx.deadline.seconds_left()))
        if start.session_id is not None:
            return SessionSummary.model_construct(session_id=start.session_id, phase="starting")
        try:
            if rows := await find(ctx, tag, created_after):
                return rows[-1]
            failure = None
        except DevinError as error:
            failure = error
    if failure is not None and must_look:
        raise NotSent(
            "A session may have been started before, and whether it was could not be looked up. "
            f"{failure.message}"
        )
    return None


def _oldest() -> int:
    """The Unix second after which sessions are looked for."""
    return int(time.time()) - IDEMPOTENCY_DAYS * 24 * 3600
