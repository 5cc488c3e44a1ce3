"""Lists that are read page by page: in a stable order, with cursors that say after what to go on and not how far.

A cursor is therefore good on any replica, and an addition or a removal in between neither repeats nor skips anything.
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

PAGE = 250
PATIENCE = 10.0
"""Seconds a list waits for Devin: hosts read lists while they connect."""

Key = tuple[int, str, str]
"""Section, place within it, id."""
Rows = Iterable[tuple[tuple[str, str], T]]


@dataclass(frozen=True)
class ListSource(Generic[S, T]):
    """One section of a list: what Devin is asked, and the rows made of the answer."""

    load: Callable[[], Awaitable[S]]
    rows: Callable[[S], Rows[T]]


@dataclass(frozen=True)
class Page(Generic[T]):
    things: list[T]
    following: str | None
    complete: bool
    """False when Devin would not tell everything, so that nobody keeps it."""


async def paginate(
    fixed: Sequence[T], sources: Sequence[ListSource[Any, T]], cursor: str | None
) -> Page[T]:
    """At most 250 things, those after the cursor: the fixed ones first, then section by section.

    A first page without what Devin would not tell is better than none, for a host may take a failing list for a failing
    server; on a later page the error is raised, for it must not look like the end.
    """
    after = None if cursor is None else _decoded(cursor)
    answers = await asyncio.gather(
        *(_patiently(one.load) for one in sources), return_exceptions=True
    )
    rows: list[tuple[Key, T]] = [
        ((0, f"{place:02}", ""), thing) for place, thing in enumerate(fixed)
    ]
    complete = True
    for section, (source, answer) in enumerate(zip(sources, answers, strict=True), 1):
        if not isinstance(answer, BaseException):
            rows += (((section, *place), thing) for place, thing in source.rows(answer))
        elif cursor is None and isinstance(answer, DevinError):
            complete = False
            add_call_facts(incomplete=True, error=answer.kind)
        else:
            raise answer
    left = sorted((row for row in rows if after is None or row[0] > after), key=lambda row: row[0])
    shown = left[:PAGE]
    following = _encoded(shown[-1][0]) if len(left) > PAGE else None
    return Page([thing for _, thing in shown], following, complete)


async def _patiently(load: Callable[[], Awaitable[S]]) -> S:
    try:
        async with asyncio.timeout(PATIENCE):
            return await load()
    except TimeoutError:
        raise Broken(f"Devin did not answer within {PATIENCE:g} seconds.") from None


def _encoded(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decoded(cursor: str) -> Key:
    try:
        order, text, one = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError):
        raise MCPError(
            INVALID_PARAMS, "The cursor is not one of this server's. List again from the start."
        ) from None
    if not (isinstance(order, int) and isinstance(text, str) and isinstance(one, str)):
        raise MCPError(
            INVALID_PARAMS, "The cursor is not one of this server's. List again from the start."
        )
    return order, text, one
