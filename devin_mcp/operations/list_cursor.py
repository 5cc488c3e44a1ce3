"""Opaque cursors of the list tools: a position in one list, bound to that list and its filters.

A cursor carries its own state, so it works on every replica and after a restart. It is not a secret
and not signed: a forged one can only point to another position of a list that the caller may read
anyway.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from devin_mcp.errors import Invalid

DIGEST_BYTES = 4
MAX_CURSOR_CHARS = 4000
"""The length of Devin's own cursors, which ours contain, is not documented."""


@dataclass(frozen=True)
class Position:
    """A place in a list: `skip` rows after Devin's cursor `after`, or after its first row."""

    skip: int = 0
    after: str = ""

    def advance(self, rows: int) -> Position:
        return Position(self.skip + rows, self.after)


FIRST = Position()


@dataclass(frozen=True)
class ListQuery:
    """A list and its filters. A cursor is valid only for the query that made it.

    The page size is no part of the query: it may change from page to page.
    """

    tool: str
    filters: Mapping[str, object]

    def encode(self, position: Position) -> str:
        """The cursor of the row at `position`."""
        data = self._digest + f"{position.skip} {position.after}".rstrip(" ").encode()
        return urlsafe_b64encode(data).decode().rstrip("=")

    def decode(self, cursor: str | None) -> Position:
        """The position that a cursor of this query points to; the first without a cursor.

        Raises Invalid for a cursor of another list or other filters, and for a text that is no
        cursor.
        """
        if cursor is None:
            return FIRST
        try:
            data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            digest, text = data[:DIGEST_BYTES], data[DIGEST_BYTES:].decode()
            skip, _, after = text.partition(" ")
            position = Position(int(skip), after)
        except ValueError:  # binascii.Error and UnicodeError are ValueErrors
            raise Invalid(
                f"cursor is not one that {self.tool} returned.",
                "Take next_cursor of its last answer, or leave it out.",
            ) from None
        if position.skip < 0 or digest != self._digest:
            raise Invalid(
                "cursor belongs to another list, or to a call with other filters.",
                "Repeat the filters of the call that returned it, or leave cursor out.",
            )
        return position

    @property
    def _digest(self) -> bytes:
        active_filters = {name: value for name, value in self.filters.items() if value is not None}
        return sha256(json.dumps([self.tool, active_filters], sort_keys=True).encode()).digest()[
            :DIGEST_BYTES
        ]
