"""Walks through the pages of a list (v3.md §3). A list of v1 is one page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anyio.to_thread

from devin_mcp.api.call import ApiCall
from devin_mcp.api.endpoint import HasEndpoints
from devin_mcp.api.memory import HeldMemory, MemoryExceeded
from devin_mcp.api.models import ApiModel, ItemList
from devin_mcp.api.sizes import size_of
from devin_mcp.errors import Broken

ItemT = TypeVar("ItemT", bound=ApiModel)

MAX_PAGES = 100
"""Pages of one walk."""
MAX_ROWS = 10_000
"""Rows of one walk, and those of its last page."""
MANY_ROWS = 500
"""More rows are measured in a thread."""


@dataclass(frozen=True)
class Walk(Generic[ItemT]):
    """The rows of all pages that were read."""

    items: list[ItemT]
    resume_after: str | None
    """The cursor to read on from: the end of the last page, or its begin where Devin names no end.
    None begins with the first row."""
    resume_count: int
    """Number of items before `resume_after`."""
    has_more: bool
    """True if pages follow that were not read."""
    is_cut_off: bool = False
    """True if Devin says that more follows, and does not say where."""


async def read_pages(
    call: ApiCall,
    operation: HasEndpoints,
    item: type[ItemT],
    *,
    query: Mapping[str, Any] | None = None,
    after: str | None = None,
    max_pages: int = MAX_PAGES,
    **ids: str,
) -> Walk[ItemT]:
    """All rows from the cursor `after` on. An empty or repeated cursor ends the walk.

    `query` has filters; `ids` fill the placeholders of the path. An endpoint that is declared with
    a `limit` has offsets instead of cursors (v3.md §3). Raises one of errors.py.
    """
    page_model: Any = ItemList.__class_getitem__(item)
    items: list[ItemT] = []
    cursor, count, seen = after, 0, {after}
    page_size = int(call.endpoint(operation).query.get("limit", 0))
    path_ids: dict[str, Any] = dict(ids)
    memory = call.client.memory.hold()
    try:
        for _ in range(max_pages):
            place = {"offset": len(items) or None} if page_size else {"after": cursor}
            page: ItemList[ItemT] = await call.send(
                operation, page_model, query={**(query or {}), **place}, **path_ids
            )
            await _hold(memory, page.items)
            items += page.items
            if page_size:  # a full page may be the last one, or Devin does not say
                is_full = page.has_next_page or len(page.items) >= page_size
                ends = not (page.items and is_full)
            else:
                if page.end_cursor and page.end_cursor not in seen:
                    cursor, count = page.end_cursor, len(items)
                ends = page.next_cursor is None or page.next_cursor in seen
            if ends:
                return Walk(items, cursor, count, has_more=False, is_cut_off=page.has_next_page)
            if len(items) >= MAX_ROWS:
                break
            seen.add(page.next_cursor)
        return Walk(items, cursor, count, has_more=True)
    finally:
        memory.release()


async def _hold(memory: HeldMemory, items: list[ItemT]) -> None:
    """Raises Broken if the pages of all calls together are too large."""
    is_long = len(items) > MANY_ROWS
    try:
        memory.add(await anyio.to_thread.run_sync(size_of, items) if is_long else size_of(items))
    except MemoryExceeded:
        raise Broken(
            "The list does not fit into this server's memory while it serves others."
        ) from None


async def read_all(
    call: ApiCall,
    operation: HasEndpoints,
    item: type[ItemT],
    *,
    query: Mapping[str, Any] | None = None,
    **ids: str,
) -> list[ItemT]:
    """The rows of all pages. Raises Broken if there are more than MAX_PAGES pages."""
    path_ids: dict[str, Any] = dict(ids)
    walk = await read_pages(call, operation, item, query=query, **path_ids)
    if walk.has_more:
        raise Broken(f"The list has more than {len(walk.items)} rows, the most this server reads.")
    return walk.items
