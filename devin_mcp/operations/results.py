"""Results of tools: models, pages of rows, and parts of long texts. What is left out is counted and
can be read on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from devin_mcp.operations.list_cursor import FIRST, MAX_CURSOR_CHARS, ListQuery, Position

Next = str
"""The next step, in a sentence or two; sentences that name a hidden tool are removed."""
Cursor = Annotated[str, Field(max_length=MAX_CURSOR_CHARS, description="From next_cursor")]

ROOM_FOR_NEXT = 400
"""Characters reserved for `next` when a result is shortened."""
TRUNCATED_CELL_CHARS = 100
MAX_PAGE_ROWS = 1000
"""Rows of a page at most, whatever the limit: more are never copied or measured."""
NO_LIMIT = 1 << 40
"""Sentinel: skip measuring. Results are measured only after the rendered text exceeded the limit,
because measuring costs as much as rendering."""

_ROW_TRUNCATED = "A row was too long: texts that end in … are cut, lists may be left out. "
_NEVER_TRUNCATED = frozenset({"next", "url", "line"})
"""Fields that are useless when they are truncated."""


class Result(BaseModel):
    """The result of a tool. Fields that are None are omitted; the most important field is first."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, defer_build=True)


ResultT = TypeVar("ResultT", bound=Result)
PageT = TypeVar("PageT", bound="Page")
RowT = TypeVar("RowT", bound=BaseModel)


@dataclass(frozen=True)
class Truncatable(Generic[ResultT]):
    """A result that is built for a limit of its size."""

    build: Callable[[int], ResultT]
    """From a limit in characters of compact JSON (NO_LIMIT for all) to the result."""
    deferred: Any = None
    """The rest of a wait that goes on after the call; the result is what is known by now."""


class Page(Result):
    """Rows of a list from a position on."""

    rows: ClassVar[str]
    """Name of the field that holds the rows."""
    hint: ClassVar[str]
    """What to do with a row."""
    empty: ClassVar[str]
    """What to do if the list has no rows."""

    next: Next
    next_cursor: str | None = None


def rows_of_page(rows: Sequence[RowT], start: Position) -> tuple[Sequence[RowT], bool]:
    """The rows from `start` on, as many as a page may have, and whether more follow."""
    end = start.skip + MAX_PAGE_ROWS
    return rows[start.skip : end], len(rows) > end


def build_page(
    page: type[PageT],
    rows: Sequence[BaseModel],
    query: ListQuery,
    start: Position,
    *,
    has_more: bool = False,
    positions: Sequence[Position] | None = None,
    is_cut_off: bool = False,
    empty: str | None = None,
    **fields: Any,
) -> Truncatable[PageT]:
    """A page of `rows`. Rows that do not fit stay for the next page.

    `positions[n]` is the position to continue from after `n` rows, where rows of the list were
    skipped; by default they follow each other from `start`. `is_cut_off` says that Devin has more
    rows, which cannot be reached. `empty` overrides the page's own text.
    """

    def build(limit: int) -> PageT:
        if limit >= NO_LIMIT:
            return make(rows, more=has_more)
        room = limit - json_chars(make((), more=has_more)) - ROOM_FOR_NEXT
        page_rows = rows[: count_that_fit(rows, room)]
        if not page_rows and rows:
            first = [truncate_row(rows[0], room)]
            return make(first, more=has_more or len(rows) > 1, remark=_ROW_TRUNCATED)
        return make(page_rows, more=has_more or len(page_rows) < len(rows))

    def make(page_rows: Sequence[BaseModel], *, more: bool, remark: str = "") -> PageT:
        count = len(page_rows)
        position = start.advance(count) if positions is None else positions[count]
        if more:
            text = (
                f"There may be more: {query.tool} with the same filters and next_cursor as "
                f"cursor. {page.hint}"
            )
        elif is_cut_off:
            text = f"Devin has more rows and does not say where they begin. {page.hint}"
        elif page_rows:
            text = page.hint
        else:
            text = empty or (page.empty if start == FIRST else f"No more rows. {page.hint}")
        return page(
            next=f"{remark}{text}",
            next_cursor=query.encode(position) if more else None,
            **{page.rows: page_rows},
            **fields,
        )

    return Truncatable(build)


@dataclass(frozen=True)
class TextSlice:
    """A part of a long text."""

    text: str
    truncated: bool | None
    """True if this is not the whole text."""
    length: int | None
    """Of the whole text, if this is not all of it."""

    @classmethod
    def of(cls, text: str, start: int, room: int) -> TextSlice:
        part = text[start : start + max(0, room)]
        if len(part) == len(text):
            return cls(part, None, None)
        return cls(part, truncated=True, length=len(text))


def json_chars(model: BaseModel) -> int:
    """Characters of compact JSON, the unit of every budget."""
    return len(model.model_dump_json(exclude_none=True))


def prefix_that_fits(text: str, room: int) -> str:
    """The longest prefix that takes at most `room` characters inside a JSON string."""
    for index, character in enumerate(text):
        room -= _escaped_length(character)
        if room < 0:
            return text[:index]
    return text


def _escaped_length(character: str) -> int:
    if character in '"\\\n\r\t\b\f':
        return 2
    return 1 if character >= " " else 6


def count_that_fit(rows: Sequence[BaseModel], room: int) -> int:
    """How many of the first rows fit into `room` characters, commas included."""
    for count, row in enumerate(rows):
        room -= _chars_until(room, row) + 1
        if room < 0:
            return count
    return len(rows)


def _chars_until(room: int, model: BaseModel) -> int:
    """As `json_chars`; without writing the JSON if one text alone is longer than the room."""
    longest = max((len(text) for text in vars(model).values() if isinstance(text, str)), default=0)
    return longest if longest > room else json_chars(model)


ModelT = TypeVar("ModelT", bound=BaseModel)


def truncate_row(row: ModelT, room: int) -> ModelT:
    """Shorten a row that alone is too long: its longest texts end in `…`, its longest lists are
    left out.

    An absent list says nothing; an empty one would say that there is nothing.
    """
    names = [name for name in type(row).model_fields if isinstance(getattr(row, name), str | list)]
    for name in sorted(names, key=lambda name: len(str(getattr(row, name))), reverse=True):
        if _chars_until(room, row) <= room:
            break
        value = getattr(row, name)
        if isinstance(value, str) and (
            len(value) <= TRUNCATED_CELL_CHARS or name in _NEVER_TRUNCATED
        ):
            continue
        cell = None if isinstance(value, list) else f"{value[:TRUNCATED_CELL_CHARS]}…"
        update: dict[str, Any] = {name: cell}
        if name == "body":
            update = {"body": None, "truncated": True, "length": len(value)}
        row = row.model_copy(update=update)
    return row
