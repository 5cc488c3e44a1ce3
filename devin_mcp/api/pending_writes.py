"""Writes in progress: they outlive their callers, and listeners are notified when one has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from devin_mcp.api.memory import current_memory
from devin_mcp.api.request_state import RequestState
from devin_mcp.errors import NotSent, Refused, ReplyLost
from devin_mcp.observability.log import current_call, event

R = TypeVar("R")
OnSent = Callable[[asyncio.Task[Any]], None]
"""Receives the task that sends a write; the task may outlive the call."""

DETACHED_WRITE_TIMEOUT = 30.0
"""Seconds a write on the wire may take after its caller was cancelled."""


@dataclass(frozen=True)
class WriteEvent:
    """A write that was carried out, or may have been: what was read before it may be stale now."""

    tenant: str
    operation_id: str
    ids: Mapping[str, str]


class PendingWrites:
    """All writes of the process that are in progress."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[WriteEvent], None]] = []
        """Notified at the end of every write, also after its caller was cancelled, and of other
        replicas' writes."""
        self.publish: Callable[[WriteEvent], None] | None = None
        """Sends a write of this process to the other replicas."""
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def notify_when_done(self, state: RequestState, write: WriteEvent) -> Iterator[None]:
        """Notify the listeners when the block ends, unless the request provably changed nothing."""
        changed_nothing = False
        try:
            yield
        except (NotSent, Refused):
            changed_nothing = not state.may_have_arrived
            raise
        finally:
            if (state.sent or state.may_have_arrived) and not changed_nothing:
                self.notify(write)
                if self.publish is not None:
                    self.publish(write)

    def notify(self, write: WriteEvent) -> None:
        for listener in self.listeners:
            listener(write)

    async def run_detached(
        self,
        state: RequestState,
        request: Coroutine[Any, Any, R],
        on_sent: OnSent | None = None,
    ) -> R:
        """Await a write. A write that was sent runs to its end even if the caller is cancelled.

        Its outcome is then logged as `late_reply`.
        """
        task = asyncio.ensure_future(request)
        if (memory := current_memory.get()) is not None:  # the task holds what it sends
            memory.retain()
            task.add_done_callback(lambda _: memory.release())
        if on_sent is not None:
            on_sent(task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            state.caller_gone = True
            # A task that is done just now counts as sent: only the log can report its outcome.
            if state.sent or task.done():
                task.add_done_callback(_late_reply_logger(state.endpoint.route))
                asyncio.get_running_loop().call_later(DETACHED_WRITE_TIMEOUT, task.cancel)
            else:
                task.add_done_callback(_retrieve_error)
                task.cancel()
            raise

    async def aclose(self, grace: float) -> None:
        """Wait at most `grace` seconds for writes on the wire, then cancel them."""
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=grace)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)


def _retrieve_error(task: asyncio.Task[Any]) -> None:
    """Nobody awaits the task; asyncio would log that its error was never seen."""
    if not task.cancelled():
        task.exception()


def _late_reply_logger(route: str) -> Callable[[asyncio.Task[Any]], None]:
    """A done-callback that logs the outcome of a write whose caller was cancelled."""
    call = current_call.get()
    facts: dict[str, Any] = {"call_id": call.call_id if call else None, "route": route}

    def log(task: asyncio.Task[Any]) -> None:
        error = ReplyLost.kind if task.cancelled() else None
        if error is None and (problem := task.exception()) is not None:
            error = getattr(problem, "kind", type(problem).__name__)
        if error is not None:
            event("late_reply", level="warning", outcome="tool_error", error=error, **facts)
            return
        reply = task.result()
        session_id, other_id = getattr(reply, "session_id", None), getattr(reply, "id", None)
        event("late_reply", outcome="ok", **facts, devin_session_id=session_id, id=other_id)

    return log
