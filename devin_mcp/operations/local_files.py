"""Local files below allowed directories. Links are resolved before a path is judged; what was
judged is opened without following links. Nothing is overwritten.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from devin_mcp.errors import Invalid, NotAllowed
from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.open_directory import OpenDirectory, open_directory


@dataclass(frozen=True)
class LocalFiles:
    """Files below `roots`."""

    roots: tuple[Path, ...] = ()

    def open(self, path: str, argument: str = "path") -> tuple[str, BinaryIO]:
        """Name and open file, which the caller closes. Raises Invalid or NotAllowed."""
        resolved = self._resolve(path, argument)
        try:
            with self._open_parent(resolved) as (directory, name):
                descriptor = directory.open(name)
        except OSError:
            # What looks like a URL may hold a password.
            name = "" if "://" in path else f" {quote_line(path)}"
            raise Invalid(
                f"{argument}{name} is no file that can be read; relative paths begin in "
                f"{self.roots[0]}."
            ) from None
        # Checked before fdopen, which fails on a directory.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Invalid(f"{argument} names no ordinary file.")
        return resolved.name, os.fdopen(descriptor, "rb")

    @contextmanager
    def create(self, path: str, name: str) -> Iterator[tuple[Path, BinaryIO]]:
        """A new file at `path`, or called `name` if `path` is a directory.

        It gets its name when the block ends, and is removed if the block fails. Only if the
        process is killed a hidden temporary file is left. Raises Invalid or NotAllowed.
        """
        resolved = self._resolve(path, "save_to")
        temporary = f".devin-mcp-{secrets.token_hex(8)}.part"
        with ExitStack() as stack:
            with _refuse_unwritable():
                if resolved.is_dir():
                    resolved = self._resolve(str(resolved / name), "save_to")
                self._refuse_hidden(resolved)
                directory, name = stack.enter_context(self._open_parent(resolved))
                if directory.exists(name):
                    raise FileExistsError
                descriptor = directory.create(temporary)
            try:
                with os.fdopen(descriptor, "wb") as data:
                    yield resolved, data
                with _refuse_unwritable():
                    directory.publish(temporary, name)
            except BaseException:
                with suppress(OSError):
                    directory.remove(temporary)
                raise

    @contextmanager
    def _open_parent(self, resolved: Path) -> Iterator[tuple[OpenDirectory, str]]:
        """The directory of a path without links, and the name in it.

        Raises OSError if a link is in the path by now.
        """
        root = next(root for root in self.roots if resolved.is_relative_to(root))
        relative = resolved.relative_to(root)
        with open_directory(root, relative.parts[:-1]) as directory:
            yield directory, relative.name or "."

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


@contextmanager
def _refuse_unwritable() -> Iterator[None]:
    """Raises Invalid for an OSError of the block, which does not run while data arrives."""
    try:
        yield
    except FileExistsError:
        raise Invalid("save_to names a file that exists already; nothing is overwritten.") from None
    except OSError:
        raise Invalid("save_to cannot be written; does its directory exist?") from None
