"""Pagination of MCP lists, in a stable order. A cursor names the last item, not a position.

It works on every replica, and an addition or removal between two pages neither repeats nor skips an
item.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import anyio.to_thread
from mcp import MCPError
from mcp.types import INVALID_PARAMS

from devin_mcp.errors import Broken, DevinError
from devin_mcp.observability.log import add_call_facts

S = TypeVar("S")
T = TypeVar("T")

PAGE_SIZE = 250
LOAD_TIMEOUT = 10.0
"""Seconds a list waits for Devin: hosts read lists while they connect."""

SortKey = tuple[int, str, str]
"""Section, sort text within it, id."""
SortedItems = Iterable[tuple[tuple[str, str], Callable[[], T]]]
"""(sort text, id) and what builds the item, which is called only for the items of the page."""


@dataclass(frozen=True)
class ListSource(Generic[S, T]):
    """One section of a list: the records, and the items that are listed of them."""

    load: Callable[[], Awaitable[S]]
    items: Callable[[S], SortedItems[T]]
    """Runs in a thread."""


@dataclass(frozen=True)
class ListPage(Generic[T]):
    items: list[T]
    next_cursor: str | None
    is_complete: bool
    """False if Devin failed for a section, so that nobody caches the page."""


async def paginate(
    fixed: Sequence[Callable[[], T]], sources: Sequence[ListSource[Any, T]], cursor: str | None
) -> ListPage[T]:
    """At most 250 items after the cursor: the fixed ones first, then section by section.

    A first page without a section that failed is better than none, because some hosts disable
    a server whose list fails. On a later page the error is raised: it must not look like
    the end.
    """
    last_key = None if cursor is None else _decode(cursor)
    responses = await asyncio.gather(
        *(_load(source.load) for source in sources), return_exceptions=True
    )
    sections: list[Callable[[], SortedItems[T]]] = [
        lambda: (((f"{index:02}", ""), build) for index, build in enumerate(fixed))
    ]
    is_complete = True
    for source, response in zip(sources, responses, strict=True):
        if not isinstance(response, BaseException):
            sections.append(partial(source.items, response))
        elif cursor is None and isinstance(response, DevinError):
            sections.append(lambda: ())
            is_complete = False
            add_call_facts(incomplete=True, error=response.kind)
        else:
            raise response
    items, next_cursor = await anyio.to_thread.run_sync(_build_page, sections, last_key)
    return ListPage(items, next_cursor, is_complete)


def _build_page(
    sections: Sequence[Callable[[], SortedItems[T]]], last_key: SortKey | None
) -> tuple[list[T], str | None]:
    """The items after the key, and the next cursor."""
    items = (
        ((number, *key), build)
        for number, section in enumerate(sections)
        for key, build in section()
    )
    remaining = [item for item in items if last_key is None or item[0] > last_key]
    remaining.sort(key=lambda item: item[0])
    page = remaining[:PAGE_SIZE]
    next_cursor = _encode(page[-1][0]) if len(remaining) > PAGE_SIZE else None
    return [build() for _, build in page], next_cursor


async def _load(load: Callable[[], Awaitable[S]]) -> S:
    try:
        async with asyncio.timeout(LOAD_TIMEOUT):
            return await load()
    except TimeoutError:
        raise Broken(f"Devin did not answer within {LOAD_TIMEOUT:g} seconds.") from None


def _encode(key: SortKey) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(cursor: str) -> SortKey:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        section, text, item_id = json.loads(base64.urlsafe_b64decode(padded))
        valid = isinstance(section, int) and isinstance(text, str) and isinstance(item_id, str)
    except (ValueError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise MCPError(
            INVALID_PARAMS, "The cursor is not one of this server's. List again from the start."
        )
    return section, text, item_id
