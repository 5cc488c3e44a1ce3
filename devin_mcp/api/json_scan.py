"""Counts the values of JSON text while it arrives: parsing many small values takes long and much
memory, however few bytes they have.
"""

from __future__ import annotations

import math
import re

MAX_DIGITS = 400
"""Of a number: a longer one takes long to convert, in quadratic time."""
_LONG_NUMBER = re.compile(rb"\d{%d}" % (MAX_DIGITS + 1))


class TooManyValues(ValueError):
    """The text has more values than allowed, or a number with too many digits."""


class JsonScanner:
    """Fed with the parts of a JSON text. Characters inside of strings do not count."""

    def __init__(self, max_values: int, max_objects: float = math.inf) -> None:
        self._max_values = max_values
        self._max_objects = max_objects
        self._objects = 0
        self.values = 0
        """Commas, colons and opening brackets: at least as many as values."""
        self._in_string = False
        self._digits = b""
        """Digits at the end of the last part."""
        self._rest = b""
        """A backslash at the end of the last part."""

    def feed(self, part: bytes) -> None:
        """Raises TooManyValues."""
        part = self._rest + part
        # Pairs of backslashes first: in `\\\\"` the quote is not escaped.
        text = part.replace(b"\\\\", b"")
        self._rest = b"\\" if text.endswith(b"\\") else b""
        segments = text.removesuffix(self._rest).replace(b'\\"', b"").split(b'"')
        outside = b" ".join(segments[1 if self._in_string else 0 :: 2])
        if _LONG_NUMBER.search(self._digits + outside):
            raise TooManyValues
        self._digits = outside[len(outside.rstrip(b"0123456789")) :][-MAX_DIGITS:]
        if len(segments) % 2 == 0:
            self._in_string = not self._in_string
        self.values += sum(outside.count(mark) for mark in (b",", b":", b"[", b"{"))
        self._objects += outside.count(b"{")
        if self.values > self._max_values or self._objects > self._max_objects:
            raise TooManyValues
