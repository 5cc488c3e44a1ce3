"""Tasks: a wait that the client keeps, instead of its model (SEP-2663).

The task is the wait, not the session: cancelling it ends nothing that Devin does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from devin_mcp.errors import DevinError, Refused, SlowDown
from devin_mcp.operations.context import Context
from devin_mcp.operations.delegation.result import Delegated
from devin_mcp.operations.messages import MessageSent
from devin_mcp.operations.results import Truncatable
from devin_mcp.operations.waiting.cursor import WaitCursor
from devin_mcp.operations.waiting.deferred import DeferredWait, Kind, unknown_task
from devin_mcp.operations.waiting.progress import state_text
from devin_mcp.operations.waiting.question import Question, question_of
from devin_mcp.operations.waiting.result import WithUpdates, with_updates
from devin_mcp.operations.waiting.tool import Wait, look_once

MIN_POLL_SECONDS = 5.0
"""Between two looks of a client while something has just changed."""
QUIET_POLL_SECONDS = 10.0
"""The least after that, and MAX_POLL_SECONDS the most: hosts do exactly what they are told."""
MAX_POLL_SECONDS = 20.0
RESULTS: Mapping[Kind, type[WithUpdates]] = {"delegate": Delegated, "message": MessageSent}
"""The results that a wait completes."""
FOUND_BY_WAIT = frozenset(WithUpdates.model_fields) - {"session_id", "phase", "reason"}
"""Fields of these that only the wait can fill."""


@dataclass(frozen=True)
class TaskState:
    """A task as it is now."""

    message: str
    """How things stand, for a person."""
    poll_seconds: float = MAX_POLL_SECONDS
    """When to look again."""
    result: Truncatable[Any] | None = None
    """What the tool would have answered. None while the wait goes on."""
    question: Question | None = None
    """What Devin asks, where that is what ended the wait."""
    is_current: bool = True
    """False if Devin could not be asked in time."""


async def look_at_task(ctx: Context, wait: DeferredWait) -> TaskState:
    """Raises Refused if none of its sessions can be looked at, and never will."""
    seen, ids = WaitCursor.decode(wait.cursor), wait.session_ids
    if wait.kind == "message":  # sent through another process, perhaps
        ctx.pollers.assume_messaged(ctx.key, ids[0], time.time() - wait.began_at)
    origins = [(session_id, seen.seen(session_id)) for session_id in ids]
    try:
        looked = await look_once(ctx, origins, wait.until, wait.wait_for)
    except DevinError as error:
        if isinstance(error, Refused) and not isinstance(error, SlowDown):
            raise
        return TaskState(f"Devin cannot be asked just now: {error.message}", is_current=False)
    message = state_text(looked.targets)
    is_current = all(target.is_resolved for target in looked.targets)
    interval = min(target.poller.interval for target in looked.targets)
    poll_seconds = min(MAX_POLL_SECONDS, max(QUIET_POLL_SECONDS, interval))
    if interval <= MIN_POLL_SECONDS:
        poll_seconds = MIN_POLL_SECONDS
    if looked.refusal is None and looked.timed_out and not wait.is_over:
        return TaskState(message, poll_seconds, is_current=is_current)
    result = _result(wait, looked, seen.others(ids))
    return TaskState(message, result=result, question=question_of(looked.targets))


def _result(wait: DeferredWait, looked: Wait, others: list[str]) -> Truncatable[Any]:
    outcome = looked.outcome(others)
    done = done_before(wait)
    return outcome if done is None else with_updates(done, outcome.build)


def done_before(wait: DeferredWait) -> WithUpdates | None:
    """What was done before the wait; None for a wait alone. Raises NotFound for other fields."""
    if wait.kind == "wait":
        return None
    fields = wait.fields_of_done
    if fields.get("session_id") != wait.session_ids[0] or not FOUND_BY_WAIT.isdisjoint(fields):
        raise unknown_task()
    try:
        return RESULTS[wait.kind].model_validate({**fields, "next": ""})
    except ValidationError:
        raise unknown_task() from None
