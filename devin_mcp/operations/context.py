"""House rules: what the person who started this server allows an operation to spend, read, write, hand over and keep."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from devin_mcp.api.clock import Clock
from devin_mcp.errors import Invalid, NotAllowed, NotSent, Refused
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.cache import Cache
from devin_mcp.operations.idempotency import IdempotencyRegistry
from devin_mcp.settings.environment import environment_value

HOUR = 3600.0


@dataclass
class SessionRateLimit:
    """How many sessions were started with each key in the last hour, through this process."""

    most: int
    clock: Clock
    _times: dict[str, deque[float]] = field(default_factory=dict)
    """By the key's fingerprint, when each was started."""

    def check(self, owner: str) -> None:
        """Raises NotAllowed when none may be started now."""
        now = self.clock.now()
        for one, times in list(self._times.items()):
            while times and times[0] <= now - HOUR:
                times.popleft()
            if not times:
                del self._times[one]
        started = len(self._times.get(owner, ()))
        if started >= self.most:
            raise NotAllowed(
                f"This server has started {started} sessions within the last hour, its limit (--max-sessions).",
                "Nothing was started. Go on with a running session, or ask the person who runs this server to raise "
                "--max-sessions.",
            )

    @contextmanager
    def one(self, owner: str) -> Iterator[Callable[[], None]]:
        """Count a start before it is sent; uncount it when provably nothing was started. Yields the uncounting."""
        self.check(owner)
        now = self.clock.now()
        times = self._times.setdefault(owner, deque())
        times.append(now)

        def forget() -> None:
            with suppress(ValueError):
                times.remove(now)

        try:
            yield forget
        except (NotSent, Refused):
            forget()
            raise


@dataclass(frozen=True)
class LocalFiles:
    """Files below the allowed directories. Symbolic links are resolved before a path is judged; nothing is overwritten."""

    roots: tuple[Path, ...]

    def opened(self, path: str, argument: str = "path") -> tuple[str, BinaryIO]:
        """The file's name and the file, for the caller to close. Raises Invalid or NotAllowed, without the path."""
        found = self._resolve(path, argument)
        try:
            # O_NOFOLLOW and O_NONBLOCK: neither a link swapped in after the check nor a pipe may be opened.
            flags = (
                os.O_RDONLY
                | getattr(os, "O_NOFOLLOW", 0)
                | getattr(os, "O_NONBLOCK", 0)
                | getattr(os, "O_BINARY", 0)
            )
            descriptor = os.open(found, flags)
        except OSError:
            raise Invalid(f"{argument} names no file that can be read.") from None
        if not stat.S_ISREG(
            os.fstat(descriptor).st_mode
        ):  # asked first: a directory cannot even be wrapped
            os.close(descriptor)
            raise Invalid(f"{argument} names no ordinary file.")
        return found.name, os.fdopen(descriptor, "rb")

    @contextmanager
    def writing(self, path: str, name: str) -> Iterator[tuple[Path, BinaryIO]]:
        """A new file at `path`, or called `name` when `path` is a directory; removed again if writing fails."""
        found = self._resolve(path, "save_to")
        try:
            if found.is_dir():
                found = self._resolve(str(found / name), "save_to")
            self._refuse_hidden(found)
            data = found.open("xb")
        except FileExistsError:
            raise Invalid(
                "save_to names a file that exists already; nothing is overwritten."
            ) from None
        except OSError:
            raise Invalid("save_to cannot be written; does its directory exist?") from None
        try:
            with data:
                yield found, data
        except BaseException:
            with suppress(OSError):
                found.unlink()
            raise

    def _refuse_hidden(self, found: Path) -> None:
        """Programs look for files that somebody planted there: .git, .venv, .vscode."""
        below = [found.relative_to(root).parts for root in self.roots if found.is_relative_to(root)]
        if all(any(part.startswith(".") for part in parts) for parts in below):
            raise NotAllowed(
                "save_to leads to a hidden file or directory.",
                "Nothing was done. Save it somewhere that is seen.",
            )

    def _resolve(self, path: str, argument: str) -> Path:
        if not self.roots:
            raise NotAllowed(
                "No directory is allowed for files.",
                "Nothing was done. Ask the person who runs this server to start it with --files-root DIR.",
            )
        try:
            found = (self.roots[0] / Path(path).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError):
            raise Invalid(f"{argument} is not a usable path.") from None
        if not any(found.is_relative_to(root) for root in self.roots):
            allowed = ", ".join(str(root) for root in self.roots)
            raise NotAllowed(
                f"{argument} lies outside the allowed directories.",
                f"Nothing was done. Allowed: {allowed}",
            )
        return found


@dataclass(frozen=True)
class House:
    """One per server. Over HTTP there are no files and no variables."""

    starts: SessionRateLimit
    cache: Cache
    handovers: IdempotencyRegistry
    result_limit: int
    """Characters of the longest answer."""
    max_acu: int | None = None
    reads: LocalFiles = field(default_factory=lambda: LocalFiles(()))
    writes: LocalFiles = field(default_factory=lambda: LocalFiles(()))
    secret_env: frozenset[str] = frozenset()

    def acu_limit(self, asked: int | None) -> int | None:
        """The cap to send: the asked one, or the house's own; asking for more than the house allows is refused."""
        if self.max_acu is None:
            return asked
        if asked is None:
            return self.max_acu
        if asked > self.max_acu:
            raise NotAllowed(
                f"max_acu_limit is above this server's limit of {self.max_acu} (--max-acu).",
                f"Nothing was started. Ask for at most {self.max_acu}.",
            )
        return asked

    def secret(self, value: str | None, name: str | None) -> str:
        """The secret itself, given or taken from an allowed variable."""
        if name is None:
            if value is None:
                one_of = "value or value_from_env" if self.secret_env else "value"
                raise Invalid(f"A secret needs {one_of}.")
            return value
        if value is not None:
            raise Invalid("Give value or value_from_env, not both.")
        if name not in self.secret_env:
            allowed = ", ".join(sorted(self.secret_env)) or "none"
            raise NotAllowed(
                "That variable may not be handed over.",
                f"Nothing was sent. Allowed with --allow-secret-env: {allowed}.",
            )
        found = environment_value(name)
        if not found:
            raise Invalid(
                "That variable is not set where this server runs.",
                "Nothing was sent. Set it and restart the server.",
            )
        redactor.hide([found])
        return found
