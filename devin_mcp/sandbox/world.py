"""The organization behind one key: sessions, files, secrets, notes, playbooks; and a clock that can be driven."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from devin_mcp.sandbox.lives import Life

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
class World:
    """Everything one key sees. Other keys see their own."""

    clock: SandboxClock
    parallel: int
    sessions: dict[str, Life] = field(default_factory=dict)
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
        return f"{WEB}/attachments/{place[0]}/{name}"


def stamp(moment: datetime) -> str:
    """As Devin writes time: UTC with microseconds and Z (v1.md §1)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


FOLDERS = ("Conventions", "Services", "Operations")

NOTES = (
    (0, "Commit messages", "When committing", "Imperative, at most 72 characters, why before what."),
    (
        0,
        "Python style",
        "When writing Python",
        "ruff and mypy strict. No `Any` across modules.\n\n- Types in signatures\n- No print",
    ),
    (0, "Reviews", "When opening a pull request", "Small diffs. Link the issue. Say how it was tested."),
    (1, "shop-api", "When working on acme/shop-api", "FastAPI on Python 3.12, Postgres 16.\n\nTests: `make test` (2 minutes)."),
    (1, "shop-web", "When working on acme/shop-web", "React and Vite. `npm test` needs Node 22."),
    (2, "Deploying", "When something is to be deployed", "Only through the release workflow, never by hand."),
)

PLAYBOOKS = (
    (
        "Fix a failing test",
        "!fixtest",
        "1. Reproduce it.\n2. Find the cause, not the symptom.\n3. Fix it, run the whole suite, open a pull request.",
    ),
    ("Upgrade a dependency", "!upgrade", "1. Read its changelog.\n2. Upgrade alone, in one commit.\n3. Run all tests."),
    ("Write an endpoint", "!endpoint", "1. Schema first.\n2. Tests next.\n3. Then code, then documentation."),
    ("Triage an issue", "!triage", "1. Reproduce.\n2. Label.\n3. Say what you found in one paragraph."),
)


def furnished(clock: SandboxClock, parallel: int) -> World:
    """A small organization, so that a newcomer sees something worth reading."""
    world = World(clock, parallel)
    created = stamp(clock.now() - timedelta(days=30))
    author = {"full_name": "Ada Sandbox", "id": "user-sandbox", "image_url": None}
    world.folders = [{"id": f"folder-{name.lower()}", "name": name, "description": "", "created_at": created} for name in FOLDERS]
    for place, (folder, name, trigger, body) in enumerate(NOTES, 1):
        note_id = f"note-{place:04d}"
        world.notes[note_id] = {
            "id": note_id, "name": name, "body": body, "trigger_description": trigger, "created_at": created,
            "created_by": author, "parent_folder_id": world.folders[folder]["id"], "macro": None,
            "pinned_repo": f"acme/{name}" if name.startswith("shop-") else None,
        }  # fmt: skip
    for place, (title, macro, body) in enumerate(PLAYBOOKS, 1):
        playbook_id = f"playbook-{place:04d}"
        world.playbooks[playbook_id] = playbook(playbook_id, title, body, macro, created)
    for place, key in enumerate(("NPM_TOKEN", "STAGING_LOGIN"), 1):
        secret_id = f"secret-{place:04d}"
        world.secrets[secret_id] = {"id": secret_id, "type": "key-value", "key": key, "created_at": created}
    return world


def playbook(playbook_id: str, title: str, body: str, macro: str | None, moment: str) -> dict[str, Any]:
    return {
        "playbook_id": playbook_id, "title": title, "body": body, "macro": macro, "status": "published",
        "access_type": "org", "org_id": "org-sandbox", "created_at": moment, "updated_at": moment,
        "created_by_user_id": "user-sandbox", "created_by_user_name": "Ada Sandbox",
        "updated_by_user_id": None, "updated_by_user_name": None,
    }  # fmt: skip
