"""Progress of a wait in words, for hosts that show it, or that reset their timeout on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from devin_mcp.api.clock import Clock
from devin_mcp.api.request_state import ReportProgress
from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.sessions.model import Session
from devin_mcp.operations.waiting.poller import SessionChange
from devin_mcp.operations.waiting.target import WaitTarget

REPORT_SECONDS = 10.0
"""A host hears of a wait at least so often."""
MAX_NAMED_SESSIONS = 2
"""Of more sessions, a report has only how many are in each phase."""
MAX_TITLE_CHARS = 60


class WaitProgress:
    """Reports each change of a session at once, and how things stand after REPORT_SECONDS without
    one.
    """

    def __init__(self, report: ReportProgress | None, clock: Clock) -> None:
        """`report` None: nobody asked for progress."""
        self._report = report
        self._clock = clock
        self._started_at = self._reported_at = clock.now()
        self._changes: list[SessionChange] = []

    @property
    def next_at(self) -> float:
        """When a report is due, if nothing changes."""
        return math.inf if self._report is None else self._reported_at + REPORT_SECONDS

    def add(self, change: SessionChange) -> None:
        self._changes.append(change)

    async def send(self, targets: Sequence[WaitTarget]) -> None:
        """Send the reports that are due."""
        if self._report is None:
            return
        changes, self._changes = self._changes, []
        texts = [_change_text(change) for change in changes]
        if not texts and self._clock.now() >= self.next_at:
            seconds = self._clock.now() - self._started_at
            texts = [f"{state_text(targets)} ({seconds:.0f} s)"]
        for text in texts:
            self._reported_at = self._clock.now()
            await self._report(text)


def _change_text(change: SessionChange) -> str:
    name = _name(change.session)
    if change.lost:
        return f"{name} cannot be looked at just now"
    return f"{name} is {change.session.phase}" if change.phase_changed else f"{name} has an update"


def state_text(targets: Sequence[WaitTarget]) -> str:
    sessions = [target.session for target in targets if target.session is not None]
    if not sessions:
        return "Devin has not answered yet"
    if len(targets) <= MAX_NAMED_SESSIONS:
        return ", ".join(f"{_name(session)} is {session.phase}" for session in sessions)
    phases = Counter(session.phase for session in sessions)
    return f"{len(targets)} sessions: " + ", ".join(
        f"{count} {phase}" for phase, count in phases.items()
    )


def _name(session: Session) -> str:
    return quote_line(session.title or session.session_id, MAX_TITLE_CHARS)
