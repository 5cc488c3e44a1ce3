"""A text as a binary file, encoded piece by piece: an upload need not hold a second copy of it."""

from __future__ import annotations

import io

STEP_CHARS = 64 * 1024


class TextFile(io.RawIOBase):
    """Reads the UTF-8 of a text. Can be rewound, and its end can be sought."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._size = sum(len(self._encode(start)) for start in range(0, len(text), STEP_CHARS))
        self._char = 0
        """Where the next piece begins."""
        self._piece = b""
        """Encoded and not yet read."""
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Only to the begin, to the end, or nowhere, which returns the position."""
        if offset != 0:
            raise io.UnsupportedOperation("only the begin or the end can be sought")
        if whence != io.SEEK_CUR:
            is_end = whence == io.SEEK_END
            self._piece = b""
            self._char = len(self._text) if is_end else 0
            self._position = self._size if is_end else 0
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if not self._piece and self._char < len(self._text):
            self._piece = self._encode(self._char)
            self._char += STEP_CHARS
        size = min(len(buffer), len(self._piece))
        buffer[:size], self._piece = self._piece[:size], self._piece[size:]
        self._position += size
        return size

    def _encode(self, start: int) -> bytes:
        return self._text[start : start + STEP_CHARS].encode()
