"""What a caller has been told of some sessions, in at most 16 characters for each: it works after a restart and on any replica."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from devin_mcp.errors import Invalid
from devin_mcp.operations.sessions.model import Phase, Session
from devin_mcp.operations.waiting.pollers import bare

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PHASES: tuple[Phase, ...] = ("starting", "working", "waiting", "done", "sleeping", "ended")
_NAME, _COUNT = 5, 3
MOST = 16
"""Sessions that one cursor tells of."""


@dataclass(frozen=True)
class Seen:
    """How much of one session was told."""

    count: int
    """Messages, from the first on; a conversation only grows."""
    phase: Phase
    pull_requests: str
    output: str
    """Digests: whether there is another one now is all that is asked."""

    @classmethod
    def of(cls, body: Session, count: int, *, phase: Phase | None = None) -> Seen:
        urls = " ".join(pull_request.url for pull_request in body.pull_requests or ())
        output = (
            json.dumps(body.structured_output, sort_keys=True)
            if body.structured_output is not None
            else ""
        )
        return cls(count, phase or body.phase, _digest(urls, 3), _digest(output, 3))


NOTHING = Seen(0, "starting", "AAA", "AAA")
"""Before the first look."""


def written(marks: Mapping[str, Seen], others: Sequence[str] = ()) -> str:
    """The cursor for marks by session id; `others` are carried along as far as there is room."""
    own = [
        _digest(bare(one), _NAME)
        + _number(mark.count)
        + _DIGITS[_PHASES.index(mark.phase)]
        + mark.pull_requests
        + mark.output
        for one, mark in marks.items()
    ]
    return ".".join([*own, *others][: max(MOST, len(own))])


def read(cursor: str | None, session_ids: Iterable[str]) -> dict[str, Seen]:
    """The marks of those of the sessions that the cursor knows. Raises Invalid for what is no cursor."""
    marks: dict[str, Seen] = {}
    for part in (cursor or "").split(".") if cursor else ():
        name, count, rest = part[:_NAME], part[_NAME : _NAME + _COUNT], part[_NAME + _COUNT :]
        if (
            len(rest) != 7
            or not set(part) <= set(_DIGITS)
            or _DIGITS.index(rest[0]) >= len(_PHASES)
        ):
            raise Invalid(
                "cursor is not one of devin_wait_for_sessions.",
                "Take it from its last answer, or leave it out.",
            )
        number = 0
        for digit in count:
            number = number * 64 + _DIGITS.index(digit)
        marks[name] = Seen(number, _PHASES[_DIGITS.index(rest[0])], rest[1:4], rest[4:])
    return {one: marks[name] for one in session_ids if (name := _digest(bare(one), _NAME)) in marks}


def others(cursor: str | None, session_ids: Iterable[str]) -> list[str]:
    """The parts of a cursor about other sessions: who waits for some of them now may go on with all of them later."""
    own = {_digest(bare(one), _NAME) for one in session_ids}
    return [part for part in (cursor or "").split(".") if part and part[:_NAME] not in own]


def _number(count: int) -> str:
    return "".join(_DIGITS[count >> 6 * place & 63] for place in reversed(range(_COUNT)))


def _digest(text: str, length: int) -> str:
    """Of nothing, the first digit: so that something is never taken for nothing."""
    if not text:
        return _DIGITS[0] * length
    number = int.from_bytes(sha256(text.encode()).digest()[:8], "big") % (64**length - 1) + 1
    return "".join(_DIGITS[number >> 6 * place & 63] for place in reversed(range(length)))
