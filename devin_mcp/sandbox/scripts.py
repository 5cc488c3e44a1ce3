"""How a simulated session lives: a small script, chosen by `sandbox:word` in its prompt, played as time passes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from devin_mcp.sandbox.examples import example_of

STARTING = 0.5
"""Seconds without a state."""
INITIALIZING = 1.0
"""Seconds in which a message is answered with 400 (v1.md §3.7)."""
LATE = 0.5
"""Seconds by which `blocked` comes before the words it is about (v1.md §3.6)."""


@dataclass(frozen=True)
class ScriptedEvent:
    """At `after` seconds into a stage, the state becomes `status`; `say` is readable a little later."""

    after: float
    status: str
    say: str = ""
    delivers: bool = False


Stage = tuple[ScriptedEvent, ...]

ASK = "I have read {}. Should the new check be strict (an error) or lenient (a warning)?"
DONE = "Done: the change is in the pull request, all tests pass."
GIVE_UP = "I could not do this: the tests need a database that I cannot reach. Please give me access or another task."

ORDINARY: tuple[Stage, ...] = (
    (ScriptedEvent(3, "blocked", ASK),),
    (ScriptedEvent(3, "finished", DONE, delivers=True),),
)

SCRIPTS: dict[str, tuple[Stage, ...]] = {
    "quick": ((ScriptedEvent(2, "blocked", DONE, delivers=True),),),
    "fail": ((ScriptedEvent(3, "blocked", GIVE_UP),),),
    "expire": ((ScriptedEvent(3, "expired"),),),
    "sleep": (
        (ScriptedEvent(3, "suspended"),),
        (ScriptedEvent(3, "finished", DONE, delivers=True),),
    ),
    "forever": ((),),
    "never-starts": ((),),
}
"""Word in the prompt -> stages; a stage begins with the start or with a message. `quota` and `cap` refuse the start."""

OVER = frozenset({"finished", "expired", "stopped"})


def word_in(prompt: str) -> str | None:
    """The script that `sandbox:word` in the prompt chooses; ordinary English chooses none."""
    found = re.search(r"\bsandbox:([a-z-]+)", prompt.lower())
    return (
        found[1] if found is not None and found[1] in {*SCRIPTS, "quota", "session-limit"} else None
    )


@dataclass
class SimulatedSession:
    """One session. Nothing runs in the background: what should have happened by now is played when somebody looks."""

    session_id: str
    body: dict[str, Any]
    born: datetime
    now: Callable[[], datetime]
    store: Callable[[str, str, bytes], str]
    tags: list[str] = field(default_factory=list)
    status: str | None = None
    pull_request: str | None = None
    output: Any = None
    messages: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    _stage: int = 0
    _stage_from: datetime | None = None
    _played: int = 0
    updated: datetime | None = None

    def __post_init__(self) -> None:
        self.word = word_in(self.body["prompt"])
        self._stages = SCRIPTS.get(self.word or "", ORDINARY)
        self._stage_from = self.born
        self.updated = self.born
        self._say(self.born, "initial_user_message", self.body["prompt"], username="you")

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_initializing(self) -> bool:
        return self.now() < self.born + timedelta(seconds=INITIALIZING)

    def play(self) -> None:
        """Let everything happen that is due."""
        if self.word == "never-starts" or self.status in OVER:
            return
        now = self.now()
        if self.status is None and now >= self.born + timedelta(seconds=STARTING):
            self.status = "working"
        begun = self._stage_from or self.born
        for moment in self._stages[self._stage][self._played :]:
            due = begun + timedelta(seconds=moment.after)
            if now < due:
                return
            self._played += 1
            self._happen(moment, due)

    def hear(self, text: str) -> str | None:
        """A message from the user; Devin's remark, if any."""
        now = self.now()
        self._say(now, "user_message", text, username="you")
        slept = self.status == "suspended"
        self._stage = min(self._stage + 1, len(self._stages) - 1)
        self._stage_from, self._played, self.status, self.updated = now, 0, "working", now
        return "Session was suspended and is being resumed" if slept else None

    def stop(self) -> None:
        self.status, self.updated = "stopped", self.now()

    def readable(self) -> list[dict[str, Any]]:
        """What a reader sees of the conversation: nothing while Devin works (v1.md §3.6)."""
        if self.status == "working":
            return []
        now = self.now()
        return [message for moment, message in self.messages if moment <= now]

    def _happen(self, moment: ScriptedEvent, due: datetime) -> None:
        self.status, self.updated = moment.status, due
        text = moment.say.format(self._given())
        if moment.delivers:
            self.pull_request = f"https://sandbox.invalid/acme/shop-api/pull/{len(self.messages)}"
            report = self.store(
                "report.md", "text/markdown", b"# Report\n\nOne check added, 12 tests pass.\n"
            )
            text += f'\n\nATTACHMENT:"{report}"'
            schema = self.body.get("structured_output_schema")
            self.output = example_of(schema) if schema is not None else None
        if text:
            self._say(due + timedelta(seconds=LATE), "devin_message", text)

    def _given(self) -> str:
        """What there was to read: the code, and the files that the prompt hands over (v1.md §4)."""
        files = re.findall(r'^ATTACHMENT:"[^"]*/([^"/]+)"$', self.body["prompt"], re.MULTILINE)
        return " and ".join(["the code", *(unquote(name) for name in files)])

    def _say(self, moment: datetime, kind: str, text: str, **more: str) -> None:
        event = {
            "type": kind,
            "event_id": f"event-{len(self.messages) + 1}-{self.session_id[-6:]}",
            "message": text,
            "timestamp": moment.isoformat().replace("+00:00", "Z"),
            **more,
        }
        self.messages.append((moment, event))
