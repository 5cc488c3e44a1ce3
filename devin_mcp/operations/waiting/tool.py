"""devin_wait_for_sessions: returns as soon as a session needs attention, with only what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from devin_mcp.api.clock import wait_for_event
from devin_mcp.errors import Broken, DevinError
from devin_mcp.operations.catalog import READ, workflow
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import MAX_WAIT_SECONDS, SessionId, WaitCursorText, bare_id
from devin_mcp.operations.results import Truncatable
from devin_mcp.operations.waiting.cursor import MAX_SESSIONS, Seen, WaitCursor
from devin_mcp.operations.waiting.poller import SessionChange
from devin_mcp.operations.waiting.progress import WaitProgress
from devin_mcp.operations.waiting.result import (
    UpdatesT,
    WaitResult,
    build_wait_result,
    with_updates,
)
from devin_mcp.operations.waiting.target import ReplyTo, WaitFor, WaitTarget

RESULT_SECONDS = 2.0
"""Part of the call's deadline that is reserved for building the result."""
FIRST_POLL_SECONDS = 2.0
"""A session that is ready waits at most so long for the first poll of the others."""
OVERTIME_SECONDS = 10.0
"""Time beyond max_wait_s for a first poll that has not ended: one poll is worth more than being
on time."""
LAST_POLL_SECONDS = 1.0
"""So long before its end, a wait polls once more: news of the last seconds would cost a call."""

Until = Literal["any", "all"]
Origin = Seen | ReplyTo | None


@workflow(
    READ,
    "sessions",
    is_core=True,
    search_hint="await or poll running agents, check for completion, be notified of responses",
)
async def wait_for_sessions(
    ctx: Context,
    session_ids: Annotated[
        list[SessionId], Field(min_length=1, max_length=MAX_SESSIONS, description="Which")
    ],
    until: Annotated[Until, Field(description="One of them, or all")] = "any",
    wait_for: Annotated[
        WaitFor,
        Field(description="attention = it asks, delivered or ended; message = any of Devin's too"),
    ] = "attention",
    cursor: WaitCursorText | None = None,
    max_wait_s: Annotated[
        int, Field(ge=1, le=MAX_WAIT_SECONDS, description="Seconds to wait")
    ] = 45,
) -> Truncatable[WaitResult]:
    """Wait until Devin is done or needs attention, or the time is up.

    Returns the progress of each coding task: phase, new messages, pull requests, output. Call it
    again with cursor to go on; nothing is missed or repeated. Waiting costs nothing.
    """
    ids = list({bare_id(session_id): session_id for session_id in session_ids}.values())
    seen = WaitCursor.decode(cursor)
    origins: list[tuple[str, Origin]] = [(session_id, seen.seen(session_id)) for session_id in ids]
    wait = await wait_until(ctx, origins, until, wait_for, max_wait_s)
    refusals = [target.poller.refusal for target in wait.targets if target.poller.refusal]
    if len(refusals) == len(ids):
        raise refusals[0]
    if not any(target.is_resolved for target in wait.targets):
        problems = dict.fromkeys(filter(None, (target.poller.problem for target in wait.targets)))
        raise Broken(
            " ".join(["Devin could not be asked in all that time.", *problems]),
            "The sessions go on. Call again in a minute.",
        )
    return Truncatable(lambda limit: wait.result(limit, seen.others(ids)))


@dataclass(frozen=True)
class Wait:
    """A wait that has ended: the sessions as they are now."""

    targets: Sequence[WaitTarget]
    timed_out: bool

    def result(self, limit: int, others: Sequence[str]) -> WaitResult:
        return build_wait_result(self.targets, limit, timed_out=self.timed_out, others=others)


async def wait_after(
    ctx: Context,
    done: UpdatesT,
    origin: ReplyTo | None,
    max_wait_s: float,
    others: Sequence[str] = (),
) -> Truncatable[UpdatesT]:
    """Wait for the session that something was just done to. What was done stands, even if waiting
    fails.
    """
    try:
        wait = await wait_until(ctx, [(done.session_id, origin)], "any", "attention", max_wait_s)
    except DevinError as error:
        text = f"Waiting failed: {error.message} {done.next}"
        return with_updates(done.model_copy(update={"next": text}), None)
    return with_updates(done, lambda limit: wait.result(limit, others))


async def wait_until(
    ctx: Context,
    origins: Sequence[tuple[str, Origin]],
    until: Until,
    wait_for: WaitFor,
    max_wait_s: float,
) -> Wait:
    """Wait until the condition holds or the time is up, for (session id, origin) pairs."""
    clock, updated = ctx.client.clock, asyncio.Event()
    started_at = clock.now()
    latest = started_at + max(0.0, ctx.deadline.seconds_left() - RESULT_SECONDS)
    end = min(latest, started_at + max_wait_s)
    first_poll_end = started_at + FIRST_POLL_SECONDS
    last_poll_at = end - LAST_POLL_SECONDS
    overtime_end = min(latest, end + OVERTIME_SECONDS)
    progress = WaitProgress(ctx.report, clock)

    def on_poll(change: SessionChange | None) -> None:
        if change is not None:
            progress.add(change)
        updated.set()

    with ExitStack() as stack:
        targets = []
        for session_id, origin in origins:
            poller = stack.enter_context(ctx.pollers.subscribe(ctx.key, session_id, on_poll))
            targets.append(WaitTarget.start(session_id, origin, poller, clock.now()))
        while not _condition_met(
            targets, until, wait_for, skip_unpolled=clock.now() >= first_poll_end
        ):
            due = end if any(target.was_polled for target in targets) else overtime_end
            if ctx.pollers.stopping or clock.now() >= due:
                return Wait(targets, timed_out=True)
            moments = (first_poll_end, last_poll_at, due, progress.next_at)
            wake_at = min(moment for moment in moments if moment > clock.now())
            if await wait_for_event(updated, clock, min(wake_at, due) - clock.now()):
                updated.clear()
            elif wake_at == last_poll_at:
                for target in targets:
                    target.poll_unless_since(clock.now() - LAST_POLL_SECONDS)
            await progress.send(targets)
        return Wait(targets, timed_out=False)


def _condition_met(
    targets: Sequence[WaitTarget], until: Until, wait_for: WaitFor, *, skip_unpolled: bool
) -> bool:
    """With `skip_unpolled`, one ready session is enough although others were never polled."""
    ready = [target.is_ready(wait_for) for target in targets]
    if not all(target.was_polled for target in targets):
        return skip_unpolled and until == "any" and any(ready)
    if all(target.is_idle for target in targets):
        return True  # no session will change without input
    if until == "any":
        return any(ready)
    return all(is_ready or target.is_idle for is_ready, target in zip(ready, targets, strict=True))
