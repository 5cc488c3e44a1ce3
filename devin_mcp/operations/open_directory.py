"""Directories below a root, opened so that a link that is swapped in later leads nowhere else.

POSIX: every directory from the root to the file is opened in the one before, without following
links. Whoever swaps a directory for a link makes the opening fail, or acts on a directory that is
no longer used. What is above the root is the operator's and is not watched.

Windows has no such calls. There the path of the opened file is asked of the system and must lie
below the root, before a byte is read or written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath

NEW_FILE_MODE = 0o666
"""Before the umask."""

if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _MAX_PATH_CHARS = 32_768

    @dataclass(frozen=True)
    class OpenDirectory:
        """A directory by its path; every file is verified after opening.

        Two things cannot be excluded. A new file may exist for a moment, empty and under a random
        name, in the directory that a link leads to. And `publish` renames by path, so a link
        swapped in exactly then is followed; it takes the same rights to plant the file there.
        """

        root: Path
        path: Path

        def open(self, name: str) -> int:
            """A descriptor for reading. Raises OSError."""
            return self._verified(name, os.O_RDONLY)

        def create(self, name: str) -> int:
            """A descriptor of a new file for writing. Raises OSError."""
            return self._verified(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

        def exists(self, name: str) -> bool:
            return os.path.lexists(self.path / name)

        def publish(self, temporary: str, name: str) -> None:
            """Rename a file. Raises FileExistsError instead of replacing another one."""
            (self.path / temporary).rename(self.path / name)

        def remove(self, name: str) -> None:
            (self.path / name).unlink()

        def _verified(self, name: str, flags: int) -> int:
            path = self.path / name
            descriptor = os.open(path, flags | os.O_BINARY, NEW_FILE_MODE)
            try:
                final_path = _final_path(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            if is_below(final_path, self.root):
                return descriptor
            os.close(descriptor)
            if flags & os.O_CREAT:
                with suppress(OSError):
                    Path(final_path).unlink()
            raise PermissionError("a link leads out of the root")

    @contextmanager
    def open_directory(root: Path, parts: Sequence[str]) -> Iterator[OpenDirectory]:
        """The directory at `parts` below the root."""
        yield OpenDirectory(root, root.joinpath(*parts))

    def _final_path(descriptor: int) -> str:
        """The path of an open file, with all links resolved. Raises OSError if it has none."""
        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        get_final_path = kernel32.GetFinalPathNameByHandleW
        get_final_path.argtypes = (
            wintypes.HANDLE,
            wintypes.LPWSTR,
            wintypes.DWORD,
            wintypes.DWORD,
        )
        get_final_path.restype = wintypes.DWORD
        buffer = ctypes.create_unicode_buffer(_MAX_PATH_CHARS)
        handle = msvcrt.get_osfhandle(descriptor)
        length = get_final_path(handle, buffer, _MAX_PATH_CHARS, 0)
        if not 0 < length < _MAX_PATH_CHARS:
            raise ctypes.WinError(ctypes.get_last_error())
        return buffer.value

else:
    _SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
    """On Linux a directory may be passed through without the permission to list it."""
    _FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    """A pipe must not block, and a terminal must not become the one of this process."""

    @dataclass(frozen=True)
    class OpenDirectory:
        """A directory by its descriptor, wherever it is moved."""

        descriptor: int

        def open(self, name: str) -> int:
            """A descriptor for reading. Raises OSError."""
            return os.open(name, os.O_RDONLY | _FILE, dir_fd=self.descriptor)

        def create(self, name: str) -> int:
            """A descriptor of a new file for writing. Raises OSError."""
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
            return os.open(name, flags, NEW_FILE_MODE, dir_fd=self.descriptor)

        def exists(self, name: str) -> bool:
            try:
                os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
            except FileNotFoundError:
                return False
            return True

        def publish(self, temporary: str, name: str) -> None:
            """Give a file its name. Raises FileExistsError instead of replacing another one.

            A rename would replace it, a hard link never does. Where there are no hard links (FAT,
            some network file systems), the name is taken by an empty file first.
            """
            here = self.descriptor
            try:
                os.link(temporary, name, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)
            except FileExistsError:
                raise
            except OSError:
                os.close(self.create(name))
                try:
                    os.rename(temporary, name, src_dir_fd=here, dst_dir_fd=here)
                except OSError:
                    self.remove(name)
                    raise
            else:
                self.remove(temporary)

        def remove(self, name: str) -> None:
            os.unlink(name, dir_fd=self.descriptor)

    @contextmanager
    def open_directory(root: Path, parts: Sequence[str]) -> Iterator[OpenDirectory]:
        """The directory at `parts` below the root. Raises OSError, for a link among them, too."""
        descriptor = os.open(root, _SEARCH)
        try:
            for part in parts:
                parent = descriptor
                descriptor = os.open(part, _SEARCH, dir_fd=parent)
                os.close(parent)
            yield OpenDirectory(descriptor)
        finally:
            os.close(descriptor)


def is_below(final_path: str, root: PurePath) -> bool:
    r"""Whether a path is below a root; Windows gives it as `\\?\C:\x` or `\\?\UNC\server\x`."""
    return _plain(final_path).is_relative_to(_plain(str(root)))


def _plain(path: str) -> PureWindowsPath:
    if path.startswith("\\\\?\\UNC\\"):
        return PureWindowsPath("\\\\" + path[len("\\\\?\\UNC\\") :])
    return PureWindowsPath(path.removeprefix("\\\\?\\"))
