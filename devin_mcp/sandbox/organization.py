"""The state of one simulated organization, and a clock that tests can advance."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from devin_mcp.sandbox.scripts import USER_ID, SimulatedSession

USER_EMAIL = "you@sandbox.invalid"
WEB_URL = "https://sandbox.invalid"
"""Base of all links. A name below `.invalid` can never be resolved (RFC 2606)."""


class SandboxClock:
    """The machine's time plus the seconds that a test advanced it by."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)


@dataclass
class Organization:
    """Everything that one key can see. Keys of the two APIs may share it (service.py)."""

    clock: SandboxClock
    parallel: int
    """How many sessions may run at once."""
    org_id: str = "org-sandbox"
    name: str = "Sandbox"
    created_at: datetime = field(init=False)
    words: set[str] = field(default_factory=set)
    """The `sandbox:` words of all prompts that v3 was sent."""
    extras: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Id of a note, playbook or secret -> its fields that only v3 has."""
    sessions: dict[str, SimulatedSession] = field(default_factory=dict)
    files: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    """(UUID, file name) -> (media type, content)."""
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    playbooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    repositories: list[dict[str, Any]] = field(default_factory=list)
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    analyses: dict[str, datetime] = field(default_factory=dict)
    """Session -> when its analysis is ready."""

    def __post_init__(self) -> None:
        self.created_at = self.clock.now()

    def running(self) -> int:
        """Number of sessions that count against the limit: waiting ones do (v1.md §3.4)."""
        return sum(not session.is_over for session in self.sessions.values())

    def start_session(
        self, body: dict[str, Any], creator_id: str = USER_ID, origin: str = "api"
    ) -> SimulatedSession:
        """Start the session that a request body describes."""
        session = SimulatedSession(
            new_id("devin"),
            body,
            created_at=self.clock.now(),
            now=self.clock.now,
            store_file=self.store,
            tags=list(body.get("tags") or []),
            creator_id=creator_id,
            origin=origin,
        )
        self.sessions[session.session_id] = session
        return session

    def set_extra(self, record_id: str, **fields: Any) -> None:
        """Set fields of a record that only v3 has."""
        self.extras.setdefault(record_id, {}).update(fields)

    def store(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file and return its URL."""
        file_id = str(uuid.uuid4())
        self.files[file_id, name] = (media_type, content)
        return f"{WEB_URL}/attachments/{file_id}/{quote(name)}"


def format_time(time: datetime) -> str:
    """A time as Devin writes it: UTC with microseconds and Z (v1.md §1)."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id(kind: str) -> str:
    """A random id with the prefix of its kind, such as devin-0123abcd."""
    return f"{kind}-{uuid.uuid4().hex}"
