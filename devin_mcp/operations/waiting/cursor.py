"""Stateless wait cursor: 16 characters per session (id, message count, phase, two digests).

It carries what a caller has seen, so it works after a restart and on any replica.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from devin_mcp.errors import Invalid
from devin_mcp.operations.parameters import bare_id
from devin_mcp.operations.sessions.model import Phase, Session

MAX_SESSIONS = 16
"""Sessions in one cursor."""

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PHASE_DIGITS: dict[Phase, str] = {
    "starting": "A",
    "working": "B",
    "waiting": "C",
    "done": "D",
    "sleeping": "E",
    "ended": "F",
    "held": "G",
    "failed": "H",
}
"""Part of the format: a digit never changes its meaning, a new phase gets a new one."""
_PHASES = {digit: phase for phase, digit in _PHASE_DIGITS.items()}
_ID_DIGITS, _COUNT_DIGITS, _DIGEST_DIGITS = 5, 3, 3
_PART_DIGITS = _ID_DIGITS + _COUNT_DIGITS + 1 + 2 * _DIGEST_DIGITS
MAX_CURSOR_CHARS = MAX_SESSIONS * (_PART_DIGITS + 1)


@dataclass(frozen=True)
class Seen:
    """How much of one session a caller has seen."""

    message_count: int
    """Messages from the first on; a conversation only grows."""
    phase: Phase
    pull_requests: str
    output: str
    """Digests, which show only whether something changed."""

    @classmethod
    def of(cls, session: Session, message_count: int) -> Seen:
        """The whole state of the session, with its first `message_count` messages."""
        urls = " ".join(pull_request.url for pull_request in session.pull_requests or ())
        return cls(
            message_count,
            session.phase,
            _digits_of(_hash(urls), _DIGEST_DIGITS),
            _digits_of(session.output_hash, _DIGEST_DIGITS),
        )

    def encode(self) -> str:
        count = _to_digits(self.message_count, _COUNT_DIGITS)
        return f"{count}{_PHASE_DIGITS[self.phase]}{self.pull_requests}{self.output}"

    @classmethod
    def decode(cls, text: str) -> Seen:
        count, phase = text[:_COUNT_DIGITS], text[_COUNT_DIGITS]
        digests = text[_COUNT_DIGITS + 1 :]
        return cls(
            _from_digits(count),
            _PHASES[phase],
            digests[:_DIGEST_DIGITS],
            digests[_DIGEST_DIGITS:],
        )


NOTHING_SEEN = Seen(0, "starting", "AAA", "AAA")


@dataclass(frozen=True)
class WaitCursor:
    """A decoded cursor: one part per session."""

    parts: tuple[str, ...] = ()

    @classmethod
    def decode(cls, text: str | None) -> WaitCursor:
        """Raises Invalid for a text that is no wait cursor."""
        parts = tuple(text.split(".")) if text else ()
        for part in parts:
            valid = (
                len(part) == _PART_DIGITS
                and set(part) <= set(_DIGITS)
                and part[_ID_DIGITS + _COUNT_DIGITS] in _PHASES
            )
            if not valid:
                raise Invalid(
                    "cursor is not one of devin_wait_for_sessions.",
                    "Take it from its last answer, or leave it out.",
                )
        return cls(parts)

    def seen(self, session_id: str) -> Seen | None:
        """What was seen of a session; None if the cursor does not contain it."""
        id_digits = _id_digits(session_id)
        for part in reversed(self.parts):
            if part.startswith(id_digits):
                return Seen.decode(part[_ID_DIGITS:])
        return None

    def others(self, session_ids: Iterable[str]) -> list[str]:
        """The parts about other sessions, kept so that a later call can continue with them."""
        own = {_id_digits(session_id) for session_id in session_ids}
        return [part for part in self.parts if part[:_ID_DIGITS] not in own]


def encode_wait_cursor(seen: Mapping[str, Seen], others: Sequence[str] = ()) -> str:
    """The cursor for what was seen by session id; `others` are added as far as there is room."""
    own = [_id_digits(session_id) + part.encode() for session_id, part in seen.items()]
    return ".".join([*own, *others][: max(MAX_SESSIONS, len(own))])


def _id_digits(session_id: str) -> str:
    return _digits_of(_hash(bare_id(session_id)), _ID_DIGITS)


def _hash(text: str) -> bytes:
    """SHA-256; empty for an empty text."""
    return sha256(text.encode()).digest() if text else b""


def _digits_of(hash_bytes: bytes, length: int) -> str:
    """Base 64. Only an empty hash gives zeros, so something is never mistaken for nothing."""
    if not hash_bytes:
        return _DIGITS[0] * length
    number = int.from_bytes(hash_bytes[:8], "big") % (64**length - 1) + 1
    return _to_digits(number, length)


def _to_digits(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, remainder = divmod(number, 64)
        digits = _DIGITS[remainder] + digits
    return digits


def _from_digits(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * 64 + _DIGITS.index(digit)
    return number
