"""Scripts of simulated sessions: timed events, selected by `sandbox:word` in the prompt."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from devin_mcp.sandbox.schema_examples import example_of

STARTING_SECONDS = 0.5
"""Time after the creation in which a session has no status."""
INITIALIZING_SECONDS = 1.0
"""Time after the creation in which a message is answered with 400 (v1.md §3.7)."""
MESSAGE_DELAY_SECONDS = 0.5
"""Time by which a message becomes readable after the status that announces it (v1.md §3.6)."""


@dataclass(frozen=True)
class ScriptedEvent:
    """A status change `after` seconds of a stage, with a message of Devin's and, on request,
    results.
    """

    after: float
    status: str
    message: str = ""
    delivers: bool = False
    """Whether the session gets a pull request, a report and its structured output."""


Stage = tuple[ScriptedEvent, ...]
"""The events that follow the creation of a session or a message to it."""

QUESTION = "I have read {}. Should the new check be strict (an error) or lenient (a warning)?"
DONE = "Done: the change is in the pull request, all tests pass."
FAILURE = (
    "I could not do this: the tests need a database that I cannot reach. "
    "Please give me access or another task."
)

DEFAULT_SCRIPT: tuple[Stage, ...] = (
    (ScriptedEvent(3, "blocked", QUESTION),),
    (ScriptedEvent(3, "finished", DONE, delivers=True),),
)

SCRIPTS: dict[str, tuple[Stage, ...]] = {
    "quick": ((ScriptedEvent(2, "blocked", DONE, delivers=True),),),
    "fail": ((ScriptedEvent(3, "blocked", FAILURE),),),
    "expire": ((ScriptedEvent(3, "expired"),),),
    "sleep": (
        (ScriptedEvent(3, "suspended"),),
        (ScriptedEvent(3, "finished", DONE, delivers=True),),
    ),
    "forever": ((),),
    "never-starts": ((),),
}
"""Word in the prompt -> the stages of the session. A message starts the next stage, or the last one
again.
"""
CREATION_ERRORS = frozenset({"quota", "session-limit"})
"""Words in the prompt that make the creation of the session fail."""

OVER = frozenset({"finished", "expired", "stopped"})
"""Statuses in which a session has ended."""


def script_in(prompt: str) -> str | None:
    """The script that the prompt requests as `sandbox:NAME`; None without a known name."""
    match = re.search(r"\bsandbox:([a-z-]+)", prompt.lower())
    if match is None or match[1] not in {*SCRIPTS, *CREATION_ERRORS}:
        return None
    return match[1]


@dataclass
class SimulatedSession:
    """One session.

    Nothing runs in the background: `run_due_events` is called before a request reads or changes the
    session.
    """

    session_id: str
    body: dict[str, Any]
    """The body of the request that created it."""
    created_at: datetime
    now: Callable[[], datetime]
    store_file: Callable[[str, str, bytes], str]
    """Stores a file (name, media type, content) and returns its URL."""
    tags: list[str] = field(default_factory=list)
    status: str | None = None
    pull_request: str | None = None
    structured_output: Any = None
    messages: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    """When each message becomes readable, and the message."""
    updated_at: datetime = field(init=False)
    _stage: int = 0
    _stage_started_at: datetime = field(init=False)
    _finished_events: int = 0
    """Number of events of the current stage that have run."""

    def __post_init__(self) -> None:
        self.script = script_in(self.body["prompt"])
        self._stages = SCRIPTS.get(self.script or "", DEFAULT_SCRIPT)
        self._stage_started_at = self.updated_at = self.created_at
        self._add_message(
            self.created_at, "initial_user_message", self.body["prompt"], username="you"
        )

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_initializing(self) -> bool:
        return self.now() < self.created_at + timedelta(seconds=INITIALIZING_SECONDS)

    def run_due_events(self) -> None:
        """Run every event whose time has come."""
        if self.script == "never-starts" or self.is_over:
            return
        now = self.now()
        if self.status is None and now >= self.created_at + timedelta(seconds=STARTING_SECONDS):
            self.status = "working"
        for event in self._stages[self._stage][self._finished_events :]:
            due_at = self._stage_started_at + timedelta(seconds=event.after)
            if now < due_at:
                return
            self._finished_events += 1
            self._run(event, due_at)

    def receive_message(self, text: str) -> str | None:
        """Add a message of the user, which starts the next stage. Returns the remark of the API, if
        any.
        """
        now = self.now()
        self._add_message(now, "user_message", text, username="you")
        was_suspended = self.status == "suspended"
        self._stage = min(self._stage + 1, len(self._stages) - 1)
        self._stage_started_at = self.updated_at = now
        self._finished_events, self.status = 0, "working"
        return "Session was suspended and is being resumed" if was_suspended else None

    def terminate(self) -> None:
        self.status, self.updated_at = "stopped", self.now()

    def readable(self) -> list[dict[str, Any]]:
        """The messages that the API returns: none while the session works (v1.md §3.6)."""
        if self.status == "working":
            return []
        now = self.now()
        return [message for readable_at, message in self.messages if readable_at <= now]

    def _run(self, event: ScriptedEvent, due_at: datetime) -> None:
        self.status, self.updated_at = event.status, due_at
        text = event.message.format(self._inputs())
        if event.delivers:
            self.pull_request = f"https://sandbox.invalid/acme/shop-api/pull/{len(self.messages)}"
            report_url = self.store_file(
                "report.md", "text/markdown", b"# Report\n\nOne check added, 12 tests pass.\n"
            )
            text += f'\n\nATTACHMENT:"{report_url}"'
            schema = self.body.get("structured_output_schema")
            self.structured_output = example_of(schema) if schema is not None else None
        if text:
            readable_at = due_at + timedelta(seconds=MESSAGE_DELAY_SECONDS)
            self._add_message(readable_at, "devin_message", text)

    def _inputs(self) -> str:
        """What Devin read: the code, and the files attached to the prompt (v1.md §4)."""
        names = re.findall(r'^ATTACHMENT:"[^"]*/([^"/]+)"$', self.body["prompt"], re.MULTILINE)
        return " and ".join(["the code", *(unquote(name) for name in names)])

    def _add_message(self, readable_at: datetime, kind: str, text: str, **fields: str) -> None:
        message = {
            "type": kind,
            "event_id": f"event-{len(self.messages) + 1}-{self.session_id[-6:]}",
            "message": text,
            "timestamp": readable_at.isoformat().replace("+00:00", "Z"),
            **fields,
        }
        self.messages.append((readable_at, message))
