"""devin_wait_for_sessions: returns as soon as a session needs attention, with only what is new."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from devin_mcp.api.clock import wait_for_event
from devin_mcp.errors import Broken, DevinError, Refused
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.catalog import READ, workflow
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import MAX_WAIT_SECONDS, SessionId, WaitCursorText, bare_id
from devin_mcp.operations.results import Truncatable
from devin_mcp.operations.waiting.cursor import (
    MAX_CURSOR_CHARS,
    MAX_SESSIONS,
    Seen,
    WaitCursor,
    encode_wait_cursor,
)
from devin_mcp.operations.waiting.deferred import DeferredWait, Kind, Until
from devin_mcp.operations.waiting.poller import SessionChange
from devin_mcp.operations.waiting.progress import WaitProgress
from devin_mcp.operations.waiting.result import (
    UpdatesT,
    WaitResult,
    WithUpdates,
    build_wait_result,
    with_updates,
)
from devin_mcp.operations.waiting.target import ReplyTo, WaitFor, WaitTarget
from devin_mcp.settings.toolsets import SESSIONS

RESULT_SECONDS = 2.0
"""Part of the call's deadline that is reserved for building the result."""
FIRST_POLL_SECONDS = 2.0
"""A session that is ready waits at most so long for the first poll of the others."""
OVERTIME_SECONDS = 10.0
"""Time beyond max_wait_s for a first poll that has not ended: one poll is worth more than being
on time."""
WARM_SECONDS = 40.0
"""Twice the longest interval at which a client looks again by itself."""
LAST_POLL_SECONDS = 1.0
"""So long before its end, a wait polls once more: news of the last seconds would cost a call."""

Origin = Seen | ReplyTo | None


@workflow(
    READ,
    SESSIONS,
    is_core=True,
    search_hint="wait for Devin to finish, await, block or poll until running agents and jobs are "
    "done, need input or respond, get notified, updates, check for completion",
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
    ids = tuple({bare_id(session_id): session_id for session_id in session_ids}.values())
    seen = WaitCursor.decode(cursor)
    deferred = DeferredWait(ids, until, wait_for, cursor or "", began_at=int(time.time()))
    others = seen.others(ids)
    origins: list[tuple[str, Origin]] = [(session_id, seen.seen(session_id)) for session_id in ids]
    if not ctx.defers_waits or not deferred.fits:
        return (await wait_until(ctx, origins, until, wait_for, max_wait_s)).outcome(others)
    wait = await look_once(ctx, origins, until, wait_for)
    if wait.timed_out and not wait.refusal:
        return Truncatable(lambda limit: wait.result(limit, others), deferred)
    return wait.outcome(others)


@dataclass(frozen=True)
class Wait:
    """A wait that has ended: the sessions as they are now."""

    targets: Sequence[WaitTarget]
    timed_out: bool

    @property
    def refusal(self) -> Refused | None:
        """Why no session can be looked at; None if one can."""
        refusals = [target.poller.refusal for target in self.targets]
        return refusals[0] if all(refusals) else None

    def result(self, limit: int, others: Sequence[str]) -> WaitResult:
        return build_wait_result(self.targets, limit, timed_out=self.timed_out, others=others)

    def outcome(self, others: Sequence[str]) -> Truncatable[WaitResult]:
        """The result. Raises an error if no session could be looked at."""
        if self.refusal:
            raise self.refusal
        if not any(target.is_resolved for target in self.targets):
            problems = dict.fromkeys(target.poller.problem for target in self.targets)
            raise Broken(
                " ".join(["Devin could not be asked in all that time.", *filter(None, problems)]),
                "The sessions go on. Call again in a minute.",
            )
        return Truncatable(lambda limit: self.result(limit, others))


async def wait_after(
    ctx: Context,
    done: UpdatesT,
    kind: Kind,
    origin: ReplyTo | None,
    max_wait_s: float,
    others: Sequence[str] = (),
) -> Truncatable[UpdatesT]:
    """Wait for the session that something was just done to. What was done stands, even if waiting
    fails.
    """
    origins = [(done.session_id, origin)]
    defers = ctx.defers_waits and _deferred(done, kind, "x" * MAX_CURSOR_CHARS).fits
    try:
        if defers:
            wait = await look_once(ctx, origins, "any", "attention")
        else:
            wait = await wait_until(ctx, origins, "any", "attention", max_wait_s)
    except DevinError as error:
        text = f"Waiting failed: {error.message} {done.next}"
        return with_updates(done.model_copy(update={"next": text}), None)
    result = with_updates(done, lambda limit: wait.result(limit, others))
    if not defers or not wait.timed_out:
        return result
    seen = wait.targets[0].seen
    cursor = encode_wait_cursor({done.session_id: seen} if seen else {}, others)
    return replace(result, deferred=_deferred(done, kind, cursor))


def _deferred(done: WithUpdates, kind: Kind, cursor: str) -> DeferredWait:
    fields = done.model_dump(mode="json", exclude={"next"}, exclude_none=True)
    text = json.dumps(redactor.clean_value(fields), ensure_ascii=False, separators=(",", ":"))
    return DeferredWait(
        (done.session_id,), cursor=cursor, kind=kind, done=text, began_at=int(time.time())
    )


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


async def look_once(
    ctx: Context, origins: Sequence[tuple[str, Origin]], until: Until, wait_for: WaitFor
) -> Wait:
    """What `wait_until` would return now: each session is polled at most once.

    Where the condition does not hold, the pollers stay for a while: the client will look again, and
    a new poller would not know what was there before.
    """
    clock, updated = ctx.client.clock, asyncio.Event()
    end = clock.now() + FIRST_POLL_SECONDS
    with ExitStack() as stack:
        targets = []
        for session_id, origin in origins:
            subscription = ctx.pollers.subscribe(ctx.key, session_id, lambda _: updated.set())
            poller = stack.enter_context(subscription)
            targets.append(WaitTarget.start(session_id, origin, poller, clock.now()))
        while not all(target.was_polled for target in targets) and clock.now() < end:
            await wait_for_event(updated, clock, end - clock.now())
            updated.clear()
        is_met = _condition_met(targets, until, wait_for, skip_unpolled=True)
        for target in targets:
            if not is_met and not target.poller.task.done():
                ctx.pollers.keep_warm(ctx.key, target.session_id, WARM_SECONDS)
        return Wait(targets, timed_out=not is_met)


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
