"""Listing schedules, and reading one with its whole prompt."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from pydantic import Field

from devin_mcp.api.endpoint import Lookup
from devin_mcp.api.paging import Walk, read_pages
from devin_mcp.errors import Invalid
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import FIRST, ListQuery, Position
from devin_mcp.operations.parameters import FromChar, Id
from devin_mcp.operations.results import (
    NO_LIMIT,
    Cursor,
    Page,
    Truncatable,
    build_page,
    json_chars,
    prefix_that_fits,
    truncate_row,
)
from devin_mcp.operations.schedules.model import Schedule, ScheduleView
from devin_mcp.settings.toolsets import SCHEDULES

PERMISSION = "ManageOrgSchedules"
ROOM_FOR_HINT = 200
MAX_SCHEDULES = 100
"""Of one page: the next runs of each are computed."""
ScheduleId = Annotated[Id, Field(description="As sched-1a2b")]
GET_SCHEDULE = Lookup.declare(
    "get_schedule", v3="GET /schedules/{schedule_id}", permission=PERMISSION
)


class Schedules(Page):
    rows = "schedules"
    hint = (
        "schedule_id reads one with its whole prompt. devin_update_schedule with enabled=false "
        "pauses one."
    )
    empty = "There is no schedule. Create one with devin_create_schedule."

    schedules: list[ScheduleView]


@operation(
    READ,
    SCHEDULES,
    v3="GET /schedules?limit=200",
    permission=PERMISSION,
    search_hint="recurring, automatic, cron, nightly or weekly jobs and tasks, timers, reminders",
)
async def list_schedules(
    ctx: Context,
    schedule_id: ScheduleId | None = None,
    from_char: FromChar = 0,
    cursor: Cursor | None = None,
) -> Truncatable[Schedules]:
    """List schedules, which start sessions by themselves. schedule_id reads one with its prompt."""
    query = ListQuery("devin_list_schedules", {})
    if schedule_id is None:
        if from_char:
            raise Invalid("from_char needs schedule_id.")
        return await _page(await read_schedules(ctx), query, query.decode(cursor))
    if cursor is not None:
        raise Invalid("Give schedule_id or cursor, not both.")
    return _one_schedule(await read_schedule(ctx, schedule_id), from_char, query)


async def read_schedules(ctx: Context) -> Walk[Schedule]:
    """All schedules. Raises one of errors.py."""
    return await read_pages(ctx, list_schedules, Schedule)


async def read_schedule(ctx: Context, schedule_id: str) -> Schedule:
    """One schedule with its whole prompt. Raises NotFound."""
    return await ctx.send(GET_SCHEDULE, Schedule, schedule_id=schedule_id)


async def _page(walk: Walk[Schedule], query: ListQuery, start: Position) -> Truncatable[Schedules]:
    end = start.skip + MAX_SCHEDULES
    rows = walk.items[start.skip : end]
    # In a thread: a cron expression that hardly ever matches takes some milliseconds.
    views = await anyio.to_thread.run_sync(lambda: [ScheduleView.of(row) for row in rows])
    return build_page(
        Schedules,
        views,
        query,
        start,
        has_more=len(walk.items) > end,
        is_cut_off=walk.has_more or walk.is_cut_off,
    )


def _one_schedule(schedule: Schedule, start: int, query: ListQuery) -> Truncatable[Schedules]:
    """One schedule with its prompt from character `start` on, as much as fits into a result.

    Raises Invalid for a start behind its end.
    """
    length = len(schedule.prompt)
    if start and start >= length:
        raise Invalid(f"The prompt has {length} characters; from_char is behind its end.")

    def build(limit: int) -> Schedules:
        if limit >= NO_LIMIT:
            return make(ScheduleView.of(schedule, start, length))
        others = truncate_row(ScheduleView.of(schedule, start, 0), limit // 2)
        room = limit - json_chars(make(others)) - ROOM_FOR_HINT
        part = prefix_that_fits(schedule.prompt[start:], room)
        return make(others.model_copy(update={"prompt": part}))

    def make(view: ScheduleView) -> Schedules:
        page = build_page(Schedules, [view], query, FIRST).build(NO_LIMIT)
        end = start + len(view.prompt)
        if end < length:
            page.next = (
                f"The prompt was cut: devin_list_schedules with schedule_id={schedule.schedule_id} "
                f"and from_char={end} reads it on."
            )
        return page

    return Truncatable(build)
