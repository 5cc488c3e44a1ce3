"""One page of a list that Devin pages by cursor (v3.md §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from devin_mcp.api.endpoint import HasEndpoints
from devin_mcp.api.models import ApiModel, ItemList
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import Position

RowT = TypeVar("RowT", bound=ApiModel)

MAX_FIRST = 200
"""Rows that v3 returns at most (v3.md §3)."""


@dataclass(frozen=True)
class CursorPage(Generic[RowT]):
    """Rows, and where to go on after each."""

    rows: list[RowT]
    positions: list[Position]
    """`positions[n]` is the place after `n` rows."""
    has_more: bool
    is_cut_off: bool
    """True if more rows exist and cannot be reached."""


async def read_cursor_page(
    ctx: Context,
    operation: HasEndpoints,
    row: type[RowT],
    filters: Mapping[str, Any],
    start: Position,
    size: int = MAX_FIRST,
) -> CursorPage[RowT]:
    """A page of at most `size` rows from `start` on. Raises one of errors.py.

    `filters` are query parameters.
    """
    page_model: Any = ItemList.__class_getitem__(row)
    query = {"first": min(MAX_FIRST, start.skip + size), "after": start.after or None, **filters}
    page: ItemList[RowT] = await ctx.send(operation, page_model, query=query)
    rows = page.items[start.skip :]
    positions = [Position(start.skip + count, start.after) for count in range(len(rows) + 1)]
    has_more = page.next_cursor is not None and page.next_cursor != start.after
    if has_more:
        positions[-1] = Position(0, page.next_cursor or "")
    return CursorPage(rows, positions, has_more, page.is_cut_off(start.after or None))
