"""Local files below allowed directories. Links are resolved before a path is judged, nothing is
overwritten.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from devin_mcp.errors import Invalid, NotAllowed

# O_NOFOLLOW and O_NONBLOCK: neither a link swapped in after the check nor a pipe may be opened.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True)
class LocalFiles:
    """Files below `roots`. Errors never contain a path that the caller gave."""

    roots: tuple[Path, ...] = ()

    def open(self, path: str, argument: str = "path") -> tuple[str, BinaryIO]:
        """Name and open file, which the caller closes. Raises Invalid or NotAllowed."""
        resolved = self._resolve(path, argument)
        try:
            descriptor = os.open(resolved, _OPEN_FLAGS)
        except OSError:
            raise Invalid(f"{argument} names no file that can be read.") from None
        # Checked before fdopen, which fails on a directory.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Invalid(f"{argument} names no ordinary file.")
        return resolved.name, os.fdopen(descriptor, "rb")

    @contextmanager
    def create(self, path: str, name: str) -> Iterator[tuple[Path, BinaryIO]]:
        """A new file at `path`, or called `name` if `path` is a directory.

        It is removed again if the block fails. Raises Invalid or NotAllowed.
        """
        resolved = self._resolve(path, "save_to")
        try:
            if resolved.is_dir():
                resolved = self._resolve(str(resolved / name), "save_to")
            self._refuse_hidden(resolved)
            data = resolved.open("xb")
        except FileExistsError:
            raise Invalid(
                "save_to names a file that exists already; nothing is overwritten."
            ) from None
        except OSError:
            raise Invalid("save_to cannot be written; does its directory exist?") from None
        try:
            with data:
                yield resolved, data
        except BaseException:
            with suppress(OSError):
                resolved.unlink()
            raise

    def _refuse_hidden(self, path: Path) -> None:
        """Programs execute what they find in .git, .venv or .vscode."""
        relative = [path.relative_to(root) for root in self.roots if path.is_relative_to(root)]
        if all(any(part.startswith(".") for part in below.parts) for below in relative):
            raise NotAllowed(
                "save_to leads to a hidden file or directory.",
                "Nothing was done. Save it somewhere that is not hidden.",
            )

    def _resolve(self, path: str, argument: str) -> Path:
        if not self.roots:
            raise NotAllowed(
                "No directory is allowed for files.",
                "Nothing was done. Ask the person who runs this server to start it with "
                "--files-root DIR.",
            )
        try:
            resolved = (self.roots[0] / Path(path).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError):
            raise Invalid(f"{argument} is not a usable path.") from None
        if not any(resolved.is_relative_to(root) for root in self.roots):
            allowed = ", ".join(str(root) for root in self.roots)
            raise NotAllowed(
                f"{argument} lies outside the allowed directories.",
                f"Nothing was done. Allowed: {allowed}",
            )
        return resolved
