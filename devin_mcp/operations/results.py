"""What fits into an answer: results, pages of rows, windows on long texts. What is left out is counted and can be read on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from devin_mcp.operations.list_cursor import MAX_CURSOR_CHARS, ListQuery

Next = str
"""What to do next, in a sentence or two of ours; those that name a tool the caller does not have are left out."""

FromChar = Annotated[int, Field(ge=0, description="Read a long text from this character on")]
Cursor = Annotated[
    str, Field(max_length=MAX_CURSOR_CHARS, description="next_cursor of the last page")
]

ROOM_FOR_NEXT = 400
CUT = "A row was too long: texts that end in … are cut, lists may be left out. "
SHORT = 100
_NEVER_CUT = frozenset({"next", "url", "line"})
"""A cut sentence misleads, a cut address leads nowhere."""
NO_LIMIT = 1 << 40
"""Nothing is measured against it: most answers fit, and measuring costs as much as writing them."""


class Result(BaseModel):
    """What a tool answers. Fields that are None are left out; the important part stands first."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def within(self, limit: int) -> BaseModel:
        """The same in at most `limit` characters of compact JSON, with what is missing counted.

        Called only when the whole is longer. What can be read on overrides it; a confirmation just gets shorter texts,
        for what was done must not be reported as an error because of its length.
        """
        return truncate_row(self, limit)


class Page(Result):
    """Rows of a list from a position on. Rows that do not fit stay for the next page."""

    rows: ClassVar[str]
    """Name of the field that holds the rows."""
    hint: ClassVar[str]
    empty: ClassVar[str]

    next: Next
    next_cursor: str | None = None
    _query: ListQuery = PrivateAttr()
    _positions: Sequence[int] = PrivateAttr(default=())

    @classmethod
    def of(
        cls,
        rows: Sequence[BaseModel],
        query: ListQuery,
        positions: Sequence[int],
        *,
        more: bool = False,
        next_says: str = "",
        **others: Any,
    ) -> Self:
        """`positions[n]` is the position to go on from after `n` rows, so it has one item more than `rows`."""
        if more:
            text = f"There may be more: {query.tool} with the same filters and next_cursor as cursor. {cls.hint}"
        elif rows:
            text = cls.hint
        else:
            text = cls.empty if not positions[0] else f"No more rows. {cls.hint}"
        page = cls(
            next=f"{next_says}{text}",
            next_cursor=query.encode(positions[len(rows)]) if more else None,
            **{cls.rows: rows},
            **others,
        )
        page._query, page._positions = query, positions
        return page

    def within(self, limit: int) -> Self:
        rows: list[BaseModel] = getattr(self, self.rows)
        others = {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name not in {"next", "next_cursor", self.rows}
        }
        room = limit - json_size(self.model_copy(update={self.rows: []})) - ROOM_FOR_NEXT
        kept = rows[: count_that_fit(rows, room)]
        if not kept and rows:
            kept = [truncate_row(rows[0], room)]
            others["next_says"] = CUT
        more = self.next_cursor is not None or len(kept) < len(rows)
        return self.of(kept, self._query, self._positions, more=more, **others)


def from_position(start: int, count: int) -> range:
    """The positions of a list whose rows follow each other."""
    return range(start, start + count + 1)


@dataclass(frozen=True)
class TextSlice:
    """A window on a long text."""

    text: str
    truncated: bool | None
    length: int | None
    """Of the whole text, when this is not all of it."""

    @classmethod
    def of(cls, whole: str, start: int, room: int) -> TextSlice:
        piece = whole[start : start + max(0, room)]
        partial = len(piece) < len(whole)
        return cls(piece, True if partial else None, len(whole) if partial else None)


def json_size(part: BaseModel) -> int:
    """Characters of compact JSON, the measure of every budget."""
    return len(part.model_dump_json(exclude_none=True))


def prefix_that_fits(text: str, room: int) -> str:
    """The longest start of `text` that takes at most `room` characters once it is a JSON string."""
    for index, character in enumerate(text):
        room -= (
            1
            if character >= " " and character not in '"\\'
            else 2
            if character in '"\\\n\r\t\b\f'
            else 6
        )
        if room < 0:
            return text[:index]
    return text


def count_that_fit(rows: Sequence[BaseModel], room: int) -> int:
    """How many of the first rows fit into `room` characters, commas included."""
    for count, row in enumerate(rows):
        room -= json_size(row) + 1
        if room < 0:
            return count
    return len(rows)


def truncate_row(row: BaseModel, room: int) -> BaseModel:
    """One row that is too long by itself: its longest texts are cut, to end in `…`, and its longest lists left out.

    An absent list says nothing; an empty one would say that there is nothing.
    """
    names = [name for name in type(row).model_fields if isinstance(getattr(row, name), str | list)]
    for name in sorted(names, key=lambda name: len(str(getattr(row, name))), reverse=True):
        if json_size(row) <= room:
            break
        whole = getattr(row, name)
        if isinstance(whole, str) and (len(whole) <= SHORT or name in _NEVER_CUT):
            continue
        update: dict[str, Any] = {name: None if isinstance(whole, list) else f"{whole[:SHORT]}…"}
        if name == "body":
            update = {"body": None, "truncated": True, "length": len(whole)}
        row = row.model_copy(update=update)
    return row
