"""A wait that goes on after its call, and the text that says all of it: a task's id (SEP-2663).

The text is all there is. So any replica can go on with the wait, also after a restart; and what a
caller may see of the sessions is decided by its key each time.
"""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from devin_mcp.errors import Invalid, NotFound
from devin_mcp.operations.waiting.cursor import MAX_SESSIONS, WaitCursor
from devin_mcp.operations.waiting.target import WaitFor

MAX_ID_CHARS = 1_000
"""Claude Code takes 1,024 printable characters."""
LIFETIME_SECONDS = 24 * 3600
"""Then the wait ends with what is known, as one does whose time is up."""

Until = Literal["any", "all"]
Kind = Literal["wait", "delegate", "message"]
_ID = re.compile(
    r"(?P<sessions>[\w-]{1,128}(?:\+[\w-]{1,128})*)"
    r"~(?P<kind>[wdm])(?P<until>any|all)(?P<wait_for>attention|message)(?P<began_at>\d{1,11})"
    r"~(?P<cursor>[\w.-]*)~(?P<done>[\w-]*)",
    re.ASCII,
)


def unknown_task() -> NotFound:
    return NotFound("There is no such task.", "Call devin_wait_for_sessions.")


@dataclass(frozen=True)
class DeferredWait:
    """What was asked of the wait."""

    session_ids: tuple[str, ...]
    until: Until = "any"
    wait_for: WaitFor = "attention"
    cursor: str = ""
    """What the caller has seen."""
    kind: Kind = "wait"
    """The tool that began it."""
    done: str = ""
    """Of a delegation or message, what was done before the wait: fields of the result as JSON."""
    began_at: int = 0
    """Unix seconds."""

    @property
    def id(self) -> str:
        """The sessions come first: a host shows the id to its model, which can use them."""
        done = base64.urlsafe_b64encode(self.done.encode()).decode().rstrip("=")
        condition = f"{self.kind[0]}{self.until}{self.wait_for}{self.began_at}"
        return f"{'+'.join(self.session_ids)}~{condition}~{self.cursor}~{done}"

    @property
    def fits(self) -> bool:
        return len(self.id) <= MAX_ID_CHARS and _ID.fullmatch(self.id) is not None

    @property
    def is_over(self) -> bool:
        """True once its lifetime has ended."""
        return time.time() > self.began_at + LIFETIME_SECONDS

    @property
    def fields_of_done(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.done) if self.done else {}
        json.dumps(fields, ensure_ascii=False).encode()  # ValueError for a lone surrogate
        return fields

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NotFound for a text that is no id of a task."""
        match = _ID.fullmatch(text) if len(text) <= MAX_ID_CHARS else None
        if match is None:
            raise unknown_task()
        kinds: dict[str, Kind] = {kind[0]: kind for kind in get_args(Kind)}
        untils: dict[str, Until] = {until: until for until in get_args(Until)}
        conditions: dict[str, WaitFor] = {name: name for name in get_args(WaitFor)}
        padded = match["done"] + "=" * (-len(match["done"]) % 4)
        try:
            wait = cls(
                tuple(match["sessions"].split("+")),
                untils[match["until"]],
                conditions[match["wait_for"]],
                match["cursor"],
                kinds[match["kind"]],
                base64.urlsafe_b64decode(padded).decode(),
                int(match["began_at"]),
            )
            WaitCursor.decode(wait.cursor)
            is_valid = isinstance(wait.fields_of_done, dict) and wait.id == text
        except (ValueError, RecursionError, Invalid):
            raise unknown_task() from None
        if not is_valid or len(wait.session_ids) > (MAX_SESSIONS if wait.kind == "wait" else 1):
            raise unknown_task()
        return wait
