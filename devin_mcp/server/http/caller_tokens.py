"""--caller-tokens-file: who may call with which bearer token. The file holds digests, never a token."""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
from collections.abc import Callable
from pathlib import Path

from devin_mcp.observability.log import event
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.settings.setting import SettingsError

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._@+-]{0,59}):([0-9a-fA-F]{64})")

NO_TOKEN = (
    "This server wants a bearer token of its own: Authorization: Bearer ... Ask the person who runs it for one; "  # noqa: S105 - a sentence
    "it is not a Devin API key."
)


class CallerTokens:
    """The file as it was when it last could be read: a bad edit neither lets anybody in nor locks everybody out."""

    def __init__(self, path: Path) -> None:
        """Raises BadSetting when the file cannot be used."""
        self._path = path
        self._seen = _state_of(path)
        try:
            self._digests = _read(path)
        except (OSError, ValueError) as problem:
            raise SettingsError(
                f"--caller-tokens-file cannot be used: {_in_words(problem)}"
            ) from None

    def name_of(self, token: str) -> str:
        """Whose token it is. Raises TurnedAway."""
        name = self._name_of(hashlib.sha256(token.encode()).digest())
        if not token or name is None:
            raise RequestRejected(403, "no_token", NO_TOKEN)
        return name

    def watch(self, token: str) -> Callable[[], bool]:
        """Tells at any time whether the token would still be taken."""
        digest = hashlib.sha256(token.encode()).digest()
        return lambda: self._name_of(digest) is not None

    def _name_of(self, digest: bytes) -> str | None:
        """Every entry is compared, in constant time."""
        self._read_again_if_changed()
        names = [name for name, known in self._digests if hmac.compare_digest(digest, known)]
        return names[0] if names else None

    def _read_again_if_changed(self) -> None:
        state = _state_of(self._path)
        if state == self._seen:
            return
        self._seen = state
        try:
            if state is not None and not state[1]:
                raise ValueError(
                    "it is empty, as a file is that is just being written; a comment in it would let nobody in"
                )
            self._digests = _read(self._path)
        except (OSError, ValueError) as problem:
            event(
                "caller_tokens",
                level="warning",
                outcome="kept the old ones",
                reason=_in_words(problem),
            )
        else:
            event("caller_tokens", outcome="read again", count=len(self._digests))


def _state_of(path: Path) -> tuple[int, ...] | None:
    """Changes with every edit, also where the file is replaced by another (as secrets mounted in a cluster are)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> list[tuple[str, bytes]]:
    digests = []
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no ordinary file")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not (text := line.strip()) or text.startswith("#"):
            continue
        found = _LINE.fullmatch(text)
        if found is None:
            raise ValueError(
                f"line {number} is not name:sha256, with the digest as 64 hexadecimal digits"
            )
        digests.append((found[1], bytes.fromhex(found[2])))
    return digests


def _in_words(problem: Exception) -> str:
    if isinstance(problem, UnicodeDecodeError):
        return "it is not a text file"
    return (
        (problem.strerror or "it cannot be read") if isinstance(problem, OSError) else str(problem)
    )
