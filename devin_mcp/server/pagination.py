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
from typing import Any, Generic, TypeVar

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
SortedItems = Iterable[tuple[tuple[str, str], T]]
"""(sort text, id) and the item."""


@dataclass(frozen=True)
class ListSource(Generic[S, T]):
    """One section of a list: the request to Devin, and the items of its response."""

    load: Callable[[], Awaitable[S]]
    items: Callable[[S], SortedItems[T]]


@dataclass(frozen=True)
class ListPage(Generic[T]):
    items: list[T]
    next_cursor: str | None
    is_complete: bool
    """False if Devin failed for a section, so that nobody caches the page."""


async def paginate(
    fixed: Sequence[T], sources: Sequence[ListSource[Any, T]], cursor: str | None
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
    items: list[tuple[SortKey, T]] = [
        ((0, f"{index:02}", ""), item) for index, item in enumerate(fixed)
    ]
    is_complete = True
    for section, (source, response) in enumerate(zip(sources, responses, strict=True), 1):
        if not isinstance(response, BaseException):
            items += (((section, *key), item) for key, item in source.items(response))
        elif cursor is None and isinstance(response, DevinError):
            is_complete = False
            add_call_facts(incomplete=True, error=response.kind)
        else:
            raise response
    remaining = [item for item in items if last_key is None or item[0] > last_key]
    remaining.sort(key=lambda item: item[0])
    page = remaining[:PAGE_SIZE]
    next_cursor = _encode(page[-1][0]) if len(remaining) > PAGE_SIZE else None
    return ListPage([item for _, item in page], next_cursor, is_complete)


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
