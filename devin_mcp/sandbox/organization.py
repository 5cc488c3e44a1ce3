"""The organization behind one key: sessions, files, secrets, notes, playbooks; and a clock that can be driven."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from devin_mcp.sandbox.scripts import SimulatedSession

WEB = "https://sandbox.invalid"
"""Links say what they are: `.invalid` can never be resolved."""


class SandboxClock:
    """The machine's time plus whatever a test skipped."""

    def __init__(self) -> None:
        self._skipped = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._skipped

    def advance(self, seconds: float) -> None:
        self._skipped += timedelta(seconds=seconds)


@dataclass
class Organization:
    """Everything one key sees. Other keys see their own."""

    clock: SandboxClock
    parallel: int
    sessions: dict[str, SimulatedSession] = field(default_factory=dict)
    files: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    playbooks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def running(self) -> int:
        """Sessions that occupy a slot: waiting ones still do (v1.md §3.4)."""
        return sum(not life.is_over for life in self.sessions.values())

    def store(self, name: str, media_type: str, data: bytes) -> str:
        """Keep a file; its URL."""
        place = (str(uuid.uuid4()), name)
        self.files[place] = (media_type, data)
        return f"{WEB}/attachments/{place[0]}/{quote(name)}"


def stamp(moment: datetime) -> str:
    """As Devin writes time: UTC with microseconds and Z (v1.md §1)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"
