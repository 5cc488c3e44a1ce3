"""Waiting for sessions: one call that returns when somebody is needed, and tells what came since the last one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from devin_mcp.api.client import ApiCall
from devin_mcp.api.clock import sleep_unless
from devin_mcp.api.models import SessionId
from devin_mcp.errors import Broken, DevinError
from devin_mcp.operations.catalog import READ, workflow
from devin_mcp.operations.markdown import one_line
from devin_mcp.operations.results import NO_LIMIT
from devin_mcp.operations.waiting import cursor as cursors
from devin_mcp.operations.waiting.cursor import Seen
from devin_mcp.operations.waiting.poller import SessionChange
from devin_mcp.operations.waiting.pollers import Account, Pollers, bare
from devin_mcp.operations.waiting.result import WaitResult, WithUpdates, told
from devin_mcp.operations.waiting.target import ReplyTo, WaitFor, WaitTarget

MARGIN = 2.0
"""Seconds of the call's deadline that are kept for the answer."""

FOR_THE_OTHERS = 2.0
"""Seconds that one that is ready waits for the first look at the others."""
FOR_A_LOOK = 10.0
"""Seconds beyond what the caller wanted to wait, for a first look that is still under way."""

MAX_TITLE_CHARS = 60

Until = Literal["any", "all"]
News = TypeVar("News", bound=WithUpdates)
Wait = Annotated[int, Field(ge=1, le=50, description="Seconds to wait at most")]


@workflow(READ, "sessions")
async def wait_for_sessions(
    devin: ApiCall,
    following: Pollers,
    session_ids: Annotated[
        list[SessionId], Field(min_length=1, max_length=16, description="At most 16")
    ],
    until: Annotated[Until, Field(description="One of them, or all")] = "any",
    wait_for: Annotated[
        WaitFor,
        Field(
            description="attention = it asks, delivered or ended; message = any word of Devin's too"
        ),
    ] = "attention",
    cursor: Annotated[
        str | None,
        Field(max_length=300, description="From the last answer; shows what is new"),
    ] = None,
    max_wait_s: Wait = 45,
) -> WaitResult:
    """What is new in the sessions, as soon as one needs attention or the time is up: phase, messages, pull request, output.

    Call it again with cursor to go on; nothing is missed or repeated. Waiting costs nothing.
    """
    ids = list({bare(one): one for one in session_ids}.values())
    marks = cursors.read(cursor, ids)
    subjects, timed_out = await waited(
        devin, following, [(one, marks.get(one)) for one in ids], until, wait_for, max_wait_s
    )
    refusals = [one.followed.refusal for one in subjects if one.followed.refusal is not None]
    if len(refusals) == len(subjects):
        raise refusals[0]
    if not any(one.is_resolved for one in subjects):
        raise Broken(
            "Devin could not be asked in all that time.",
            "The sessions go on. Call again in a minute.",
        )
    return told(subjects, timed_out=timed_out, limit=NO_LIMIT, others=cursors.others(cursor, ids))


async def wait_after(
    devin: ApiCall,
    following: Pollers,
    done: News,
    since: ReplyTo | None,
    max_wait_s: float,
    others: Sequence[str] = (),
) -> News:
    """What was done stands, whatever happens to the waiting."""
    try:
        subjects, timed_out = await waited(
            devin, following, [(done.session_id, since)], "any", "attention", max_wait_s
        )
    except DevinError as trouble:
        return done.model_copy(update={"next": f"Waiting failed: {trouble.what} {done.next}"})
    return done.with_news(told(subjects, timed_out=timed_out, limit=NO_LIMIT, others=others))


async def waited(
    devin: ApiCall,
    following: Pollers,
    wanted: Sequence[tuple[str, Seen | ReplyTo | None]],
    until: Until,
    wait_for: WaitFor,
    max_wait_s: float,
) -> tuple[list[WaitTarget], bool]:
    """The sessions as they are when the condition holds, or when the time is up (then True)."""
    clock, news = devin.deadline.clock, asyncio.Event()
    latest = clock.now() + max(0.0, devin.deadline.left() - MARGIN)
    end = min(latest, clock.now() + max_wait_s)
    changes: list[SessionChange] = []

    def hear(change: SessionChange | None) -> None:
        if change is not None:
            changes.append(change)
        news.set()

    with ExitStack() as stack:
        account = Account(devin.owner, devin.key)
        subjects = []
        for session_id, since in wanted:
            followed = stack.enter_context(following.follow(account, session_id, hear))
            subjects.append(WaitTarget.of(session_id, since, followed, clock.now()))
        patience, overtime = clock.now() + FOR_THE_OTHERS, min(latest, end + FOR_A_LOOK)
        while not _holds(subjects, until, wait_for, hurry=clock.now() >= patience):
            # one look is worth more than being on time
            due = end if any(one.was_polled for one in subjects) else overtime
            if following.closing or clock.now() >= due:
                return subjects, True
            wake = patience if clock.now() < patience < due else due
            if await sleep_unless(news, clock, wake - clock.now()):
                news.clear()
            while changes and devin.tell is not None:
                await devin.tell(_in_words(changes.pop(0)))
        return subjects, False


def _holds(subjects: Sequence[WaitTarget], until: Until, wait_for: WaitFor, *, hurry: bool) -> bool:
    """`hurry` when those that could not be looked at yet have had their time: one that is ready is enough then."""
    ready = [one.is_ready(wait_for) for one in subjects]
    if not all(one.was_polled for one in subjects):
        return hurry and until == "any" and any(ready)
    if all(one.rests for one in subjects):
        return True  # nothing would come of itself
    if until == "any":
        return any(ready)
    return all(
        done or one.followed.refusal is not None or one.rests
        for done, one in zip(ready, subjects, strict=True)
    )


def _in_words(change: SessionChange) -> str:
    name = one_line(change.body.title, MAX_TITLE_CHARS) or change.body.session_id
    if change.lost:
        return f"{name} cannot be looked at just now"
    return f"{name} {f'is {change.body.phase}' if change.is_of_phase else 'has news'}"
