"""Bearer tokens of callers (--caller-tokens-file). The file holds digests, never a token."""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from pathlib import Path

from devin_mcp.observability.log import event
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.settings import SettingsError

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._@+-]{0,59}):([0-9a-fA-F]{64})")

MAX_REVOKED = 1000
"""Revoked tokens that are told apart in the log; the oldest is forgotten first."""

NO_TOKEN = (
    "This server requires a bearer token of its own: Authorization: Bearer ... "  # noqa: S105 - a text
    "Ask the person who runs it for one; it is not a Devin API key."
)
UNKNOWN_TOKEN = "This bearer token is not known here."  # noqa: S105 - a text
REVOKED_TOKEN = (
    "This bearer token is not valid any more. "  # noqa: S105 - a text
    "Ask the person who runs this server for a new one."
)


class CallerTokens:
    """The callers listed in the file, which is read again when it changes.

    While the file cannot be read or contains an invalid line, the last valid content stays in
    force: a wrong edit neither admits nor locks out anybody. A worker process receives a copy when
    it is started, so this also holds for one that replaces another.
    """

    def __init__(self, path: Path) -> None:
        """Raises SettingsError when the file cannot be used."""
        self._path = path
        self._file_state = _file_state(path)
        self._revoked: dict[bytes, str] = {}
        """Digest -> name of tokens that were in the file before, in the order of their removal."""
        try:
            self._callers = _read_callers(path)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"--caller-tokens-file cannot be used: {_file_problem(error)}"
            ) from None
        if not self._callers:
            event("caller_tokens", level="warning", outcome="nobody is admitted", count=0)

    def caller_for(self, token: str) -> str:
        """The name of the caller with this token. Raises RequestRejected."""
        digest = _digest(token)
        name = self._name_of(digest)
        if token and name is not None:
            return name
        if (revoked := self._revoked.get(digest)) is not None:
            raise RequestRejected(403, "revoked_token", REVOKED_TOKEN, facts={"caller": revoked})
        if token:
            raise RequestRejected(403, "unknown_token", f"{UNKNOWN_TOKEN} {NO_TOKEN}")
        raise RequestRejected(403, "no_token", NO_TOKEN)

    def validity_check(self, token: str) -> Callable[[], bool]:
        """A function that says whether the token is still in the file. It keeps the digest only."""
        digest = _digest(token)
        return lambda: self._name_of(digest) is not None

    def _name_of(self, digest: bytes) -> str | None:
        """Compares every entry, each in constant time, so that the duration reveals nothing of a
        digest.
        """
        self.reload_if_changed()
        names = [
            name
            for name, caller_digest in self._callers
            if hmac.compare_digest(digest, caller_digest)
        ]
        return names[0] if names else None

    def reload_if_changed(self) -> None:
        """Read the file if it is another one than last time. An unusable one is only logged."""
        state = _file_state(self._path)
        if state == self._file_state:
            return
        self._file_state = state
        try:
            callers = _read_callers(self._path, may_be_blank=False)
        except (OSError, ValueError) as error:
            event(
                "caller_tokens",
                level="warning",
                outcome="kept the old ones",
                reason=_file_problem(error),
            )
        else:
            self._replace(callers)
            event("caller_tokens", outcome="read again", count=len(self._callers))

    def _replace(self, callers: list[tuple[str, bytes]]) -> None:
        digests = {digest for _, digest in callers}
        self._revoked |= {digest: name for name, digest in self._callers if digest not in digests}
        for digest in list(self._revoked)[: max(0, len(self._revoked) - MAX_REVOKED)]:
            del self._revoked[digest]
        self._callers = callers


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _file_state(path: Path) -> tuple[int, ...] | None:
    """Modification time, size and inode; None without a file. The inode changes when a mounted
    secret is replaced.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read_callers(path: Path, *, may_be_blank: bool = True) -> list[tuple[str, bytes]]:
    """Name and digest of each caller. Raises OSError, or ValueError for a file of another form."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no ordinary file")
    callers = []
    content = path.read_bytes()
    # Editors of Windows begin a file with a byte-order mark, and PowerShell writes UTF-16.
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    lines = content.decode(encoding).splitlines()
    if not may_be_blank and not any(line.strip() for line in lines):
        raise ValueError(
            "it is empty, as a file is while it is being written; "
            "to admit no caller, put a comment in it"
        )
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ValueError(
                f"line {number} is not name:sha256, with the digest as 64 hexadecimal digits"
            )
        callers.append((match[1], bytes.fromhex(match[2])))
    return callers


def _file_problem(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not a text file"
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return str(error)
