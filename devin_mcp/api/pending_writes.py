"""Writes: those that outlive their callers, and who is told when one has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from devin_mcp.api.models import Route
from devin_mcp.api.retry import RequestState
from devin_mcp.errors import NotSent, Refused, ReplyLost
from devin_mcp.observability.log import current_call, event

R = TypeVar("R")
OnSent = Callable[[asyncio.Task[Any]], None]

DETACHED_WRITE_TIMEOUT = 30.0
"""Seconds a create or message is awaited after its caller went away."""


@dataclass(frozen=True)
class WriteEvent:
    """A write that was carried out, or may have been: what was read before it may be wrong now."""

    owner: str
    """Fingerprint of the key."""
    route: Route
    ids: Mapping[str, str]


class PendingWrites:
    """All writes of the process that are under way."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[WriteEvent], None]] = []
        """Told of every write at its end, also when its caller is gone by then, and of those of other replicas."""
        self.relay: Callable[[WriteEvent], None] | None = None
        """Hands a write of this process on to other replicas."""
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def telling(self, sending: RequestState, written: WriteEvent) -> Iterator[None]:
        """Around the exchange of one request: tells the listeners at its end, unless it provably changed nothing."""
        harmless = False
        try:
            yield
        except (NotSent, Refused):
            harmless = not sending.arrived
            raise
        finally:
            if written.route.writes and (sending.left or sending.arrived) and not harmless:
                self.tell(written)
                if self.relay is not None:
                    self.relay(written)

    def tell(self, written: WriteEvent) -> None:
        for listener in self.listeners:
            listener(written)

    async def finish(
        self,
        sending: RequestState,
        work: Coroutine[Any, Any, R],
        name: str,
        began: OnSent | None = None,
    ) -> R:
        """Await a write that must not be cut off: once it has left, it goes on without its caller and is logged.

        `began` is given its task at once.
        """
        task = asyncio.ensure_future(work)
        if began is not None:
            began(task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            sending.abandoned = True
            if (
                sending.left or task.done()
            ):  # done just now counts: nobody else will tell of its outcome
                task.add_done_callback(_late_reply_logger(name))
                asyncio.get_running_loop().call_later(DETACHED_WRITE_TIMEOUT, task.cancel)
            else:
                task.cancel()
            raise

    async def aclose(self, grace: float) -> None:
        """Let what is on the wire end within `grace` seconds."""
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=grace)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)


def _late_reply_logger(name: str) -> Callable[[asyncio.Task[Any]], None]:
    record = current_call.get()
    facts: dict[str, Any] = {"call_id": record.call_id if record else None, "route": name}

    def log(task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            event(
                "late_reply", level="warning", outcome="tool_error", error=ReplyLost.kind, **facts
            )
        elif (problem := task.exception()) is not None:
            event(
                "late_reply",
                level="warning",
                outcome="tool_error",
                error=getattr(problem, "kind", type(problem).__name__),
                **facts,
            )
        else:
            made = task.result()
            known = {
                name: getattr(made, name) for name in ("session_id", "id") if hasattr(made, name)
            }
            event("late_reply", outcome="ok", **facts, **known)

    return log
