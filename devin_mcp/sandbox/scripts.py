"""Scripts of simulated sessions: timed events, selected by `sandbox:word` in the prompt."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote

from devin_mcp.sandbox.schema_examples import example_of

USER_ID = "user-sandbox"
SERVICE_USER_ID = "service-user-sandbox"

STARTING_SECONDS = 0.5
"""Time after the creation in which a session is queued."""
INITIALIZING_SECONDS = 1.0
"""Time after the creation in which a message is answered with 400 (v1.md §3.7)."""
MESSAGE_DELAY_SECONDS = 0.5
"""Time by which a message becomes readable after the status that announces it (v1.md §3.6)."""


State = Literal["queued", "working", "waiting", "done", "sleeping", "held", "expired", "stopped"]
"""What a session does, in words of neither API. v1.py and v3_sessions.py have one table each from
these to the words of their API.
"""


@dataclass(frozen=True)
class ScriptedEvent:
    """A change of state `after` seconds of a stage, with a message of Devin's and, on request,
    results.
    """

    after: float
    state: State
    message: str = ""
    delivers: bool = False
    """Whether the session gets a pull request, a report and its structured output."""


Stage = tuple[ScriptedEvent, ...]
"""The events that follow the creation of a session or a message to it."""

QUESTION = "I have read {}. Should the new check be strict (an error) or lenient (a warning)?"
SCREENSHOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""One pixel."""
DONE = "Done: the change is in the pull request, all tests pass."
FAILURE = (
    "I could not do this: the tests need a database that I cannot reach. "
    "Please give me access or another task."
)

DEFAULT_SCRIPT: tuple[Stage, ...] = (
    (ScriptedEvent(3, "waiting", QUESTION),),
    (ScriptedEvent(3, "done", DONE, delivers=True),),
)

SCRIPTS: dict[str, tuple[Stage, ...]] = {
    "quick": ((ScriptedEvent(2, "waiting", DONE, delivers=True),),),
    "screenshot": ((ScriptedEvent(2, "waiting", DONE, delivers=True),),),
    "fail": ((ScriptedEvent(3, "waiting", FAILURE),),),
    "expire": ((ScriptedEvent(3, "expired"),),),
    "sleep": (
        (ScriptedEvent(3, "sleeping"),),
        (ScriptedEvent(3, "done", DONE, delivers=True),),
    ),
    "quota-hold": ((ScriptedEvent(3, "held"),),),
    "forever": ((),),
    "never-starts": ((),),
}
"""Word in the prompt -> the stages of the session. A message starts the next stage, or the last one
again.
"""
CREATION_ERRORS = frozenset({"quota", "session-limit"})
"""Words in the prompt that make the creation of the session fail."""

V3_ODDITIES = frozenset(
    {"refuse-tags", "refuse-repos", "lose-reply", "repeat-cursor", "problem-json"}
)
"""Words in the prompt that change the answers of v3 (v3.md, v3-additions.md). A word for a
script may stand beside them.
"""

OVER: frozenset[State] = frozenset({"done", "expired", "stopped"})
"""States in which a session has ended for v1."""


def words_in(prompt: str) -> list[str]:
    """The words that follow `sandbox:` in the prompt, in their order."""
    return re.findall(r"\bsandbox:([a-z-]+)", prompt.lower())


def script_in(prompt: str) -> str | None:
    """The first script that the prompt requests as `sandbox:NAME`; None without a known name."""
    names = {*SCRIPTS, *CREATION_ERRORS}
    return next((word for word in words_in(prompt) if word in names), None)


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
    creator_id: str = USER_ID
    """The user or service user that started it."""
    origin: str = "api"
    is_archived: bool = False
    state: State = "queued"
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
    def title(self) -> str:
        """The title that was given, else the beginning of the prompt in one line."""
        prompt = " ".join(self.body["prompt"].split())
        return self.body.get("title") or f"{prompt[:40]}…"

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_initializing(self) -> bool:
        return self.now() < self.created_at + timedelta(seconds=INITIALIZING_SECONDS)

    def run_due_events(self) -> None:
        """Run every event whose time has come."""
        if self.script == "never-starts" or self.is_over:
            return
        now = self.now()
        if self.state == "queued" and now >= self.created_at + timedelta(seconds=STARTING_SECONDS):
            self.state = "working"
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
        was_suspended = self.state == "sleeping"
        self._stage = min(self._stage + 1, len(self._stages) - 1)
        self._stage_started_at = self.updated_at = now
        self._finished_events, self.state = 0, "working"
        return "Session was suspended and is being resumed" if was_suspended else None

    def terminate(self) -> None:
        self.state, self.updated_at = "stopped", self.now()

    def archive(self) -> None:
        """Archive the session, which also puts a running one to sleep (v3.md §5.6)."""
        self.is_archived, self.updated_at = True, self.now()
        if self.state in {"queued", "working", "waiting"}:
            self.state = "sleeping"
            self._finished_events = len(self._stages[self._stage])

    def readable(self) -> list[dict[str, Any]]:
        """The messages that can be read now."""
        now = self.now()
        return [message for readable_at, message in self.messages if readable_at <= now]

    def _run(self, event: ScriptedEvent, due_at: datetime) -> None:
        self.state, self.updated_at = event.state, due_at
        text = event.message.format(self._inputs())
        if event.delivers:
            self.pull_request = f"https://sandbox.invalid/acme/shop-api/pull/{len(self.messages)}"
            report_url = self.store_file(
                "report.md", "text/markdown", b"# Report\n\nOne check added, 12 tests pass.\n"
            )
            text += f'\n\nATTACHMENT:"{report_url}"'
            if self.script == "screenshot":
                image_url = self.store_file("checkout.png", "image/png", SCREENSHOT)
                text += f'\nATTACHMENT:"{image_url}"'
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
