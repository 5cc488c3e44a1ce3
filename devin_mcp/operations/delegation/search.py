"""Finding the session that an idempotency key has started before, or may have started."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable

from devin_mcp.errors import Broken, DevinError, Invalid, NotAllowed, NotSent, SlowDown
from devin_mcp.operations.context import Context
from devin_mcp.operations.delegation.result import Delegated
from devin_mcp.operations.delegation.task import Task
from devin_mcp.operations.idempotency import LISTING_LAG_SECONDS, IdempotentStart
from devin_mcp.operations.sessions.lookup import (
    latest_sessions_with_title_mark,
    sessions_with_tag,
    sessions_with_title_mark,
)
from devin_mcp.operations.sessions.model import SessionSummary
from devin_mcp.operations.sessions.tools import read_session
from devin_mcp.operations.sessions.view import next_step

SEARCH_DELAYS_SECONDS = (0.5, 1.0, 2.0, 3.0, 4.0)
"""Seconds before each search for a session that may have been started."""
IDEMPOTENCY_DAYS = 365
"""Age of a session that is still found by its idempotency key (v3 only; v1 cannot filter by time).
"""

Find = Callable[[Context, str, int], Awaitable[list[SessionSummary]]]
"""From tag or mark and a Unix second to the sessions that were created after it, newest first."""


async def find_earlier(
    ctx: Context, start: IdempotentStart, tag: str, task: Task
) -> Delegated | None:
    """The session started for the same idempotency_key, by this process or another.

    Raises NotAllowed if the key may not look: then nothing is started.
    """
    session_id, others = start.session_id, 0
    is_in_doubt = start.seconds_in_doubt > 0  # before the look, which may take long
    if session_id is None:
        try:
            rows = await sessions_with_tag(ctx, tag, oldest())
        except NotAllowed as refusal:
            refusal.message = (
                "Whether this was delegated before cannot be looked up, so nothing was started. "
                f"{refusal.message}"
            )
            raise
        if not rows and is_in_doubt:
            rows = [await _search_while_in_doubt(ctx, start, tag)]
        if not rows:
            # Tags may have been refused then, and not now, or not on the other API.
            rows = await latest_sessions_with_title_mark(ctx, tag, oldest())
        if not rows:
            return None
        session_id, others = rows[-1].session_id, len(rows) - 1
    return await describe_earlier(ctx, session_id, tag, start, task, others)


async def _search_while_in_doubt(ctx: Context, start: IdempotentStart, tag: str) -> SessionSummary:
    """The session of an attempt whose outcome is unknown.

    Raises NotSent if it is not found: these looks begin while it may not be listed yet, so they
    prove nothing.
    """
    find = sessions_with_title_mark if start.marks_title else sessions_with_tag
    late = await search(ctx, start, tag, find, oldest(), must_look=True)
    if late is not None:
        return late
    raise NotSent(
        "An earlier call with this idempotency_key may have started a session, which is not "
        f"listed: Devin's list may lag {LISTING_LAG_SECONDS:.0f} seconds behind. Nothing was "
        "sent now.",
        f"Call again in {max(1, math.ceil(start.seconds_in_doubt))} seconds: that returns the "
        "session or starts it.",
    )


async def describe_earlier(
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


async def search(
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


def oldest() -> int:
    """The Unix second after which sessions are looked for."""
    return int(time.time()) - IDEMPOTENCY_DAYS * 24 * 3600
