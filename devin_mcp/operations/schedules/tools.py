"""Schedules as tools: list, create, change and delete what starts sessions by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from devin_mcp.api.endpoint import Lookup
from devin_mcp.api.models import Acknowledgement
from devin_mcp.api.paging import read_all
from devin_mcp.operations.catalog import (
    CHANGE,
    CREATE,
    DESTROY,
    READ,
    Confirmation,
    operation,
)
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import FIRST, ListQuery
from devin_mcp.operations.parameters import (
    NOT_BLANK,
    FromChar,
    Id,
    PlaybookId,
    Tags,
    Text,
)
from devin_mcp.operations.partial_update import Change, Clear
from devin_mcp.operations.results import (
    NO_LIMIT,
    Cursor,
    Next,
    Page,
    Result,
    Truncatable,
    build_page,
    json_chars,
    prefix_that_fits,
    rows_of_page,
)
from devin_mcp.operations.schedules.model import Schedule, ScheduleView, ScheduleWrite
from devin_mcp.operations.schedules.questions import question_of_creating, question_of_updating
from devin_mcp.operations.schedules.run_times import MAX_CRON_CHARS, describe_runs, run_fields
from devin_mcp.settings.toolsets import SCHEDULES

PERMISSION = "ManageOrgSchedules"
ROOM_FOR_HINT = 200

ScheduleId = Annotated[Id, Field(description="As sched-1a2b")]
ScheduleName = Annotated[str, Field(max_length=500, description="Its name"), NOT_BLANK]
Prompt = Annotated[Text, Field(description="The task, complete in itself")]
Frequency = Annotated[
    str, Field(max_length=MAX_CRON_CHARS, description="Cron in UTC, as 0 9 * * 1")
]
Moment = Annotated[datetime, Field(description="Or once, as 2026-11-30T09:00Z")]

GET_SCHEDULE = Lookup.declare(
    "get_schedule", v3="GET /schedules/{schedule_id}", permission=PERMISSION
)


class Schedules(Page):
    rows = "schedules"
    hint = "Pause one with devin_update_schedule and enabled=false."
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
    """List schedules: sessions that start by themselves. schedule_id reads one with its prompt."""
    query = ListQuery("devin_list_schedules", {"schedule_id": schedule_id})
    start = query.decode(cursor)
    if schedule_id is not None:
        return _one_schedule(await read_schedule(ctx, schedule_id), from_char, query)
    rows, has_more = rows_of_page(await read_schedules(ctx), start)
    views = [ScheduleView.of(schedule) for schedule in rows]
    return build_page(Schedules, views, query, start, has_more=has_more)


async def read_schedules(ctx: Context) -> list[Schedule]:
    """All schedules. Raises one of errors.py."""
    return await read_all(ctx, list_schedules, Schedule)


async def read_schedule(ctx: Context, schedule_id: str) -> Schedule:
    """Raises NotFound."""
    return await ctx.send(GET_SCHEDULE, Schedule, schedule_id=schedule_id)


def _one_schedule(schedule: Schedule, start: int, query: ListQuery) -> Truncatable[Schedules]:
    """One schedule with its prompt from character `start` on, as much as fits into a result."""

    def build(limit: int) -> Schedules:
        if limit >= NO_LIMIT:
            return make(len(schedule.prompt))
        room = limit - json_chars(make(0)) - ROOM_FOR_HINT
        return make(len(prefix_that_fits(schedule.prompt[start:], room)))

    def make(room: int) -> Schedules:
        view = ScheduleView.of(schedule, start, room)
        page = build_page(Schedules, [view], query, FIRST).build(NO_LIMIT)
        end = start + len(view.prompt)
        if end < len(schedule.prompt):
            page.next = (
                f"The prompt was cut: devin_list_schedules with schedule_id={schedule.schedule_id} "
                f"and from_char={end} reads it on."
            )
        return page

    return Truncatable(build)


class ScheduleSaved(Result):
    schedule_id: str
    enabled: bool
    runs: str = Field(description="When, in words")
    next_runs: list[str] | None = None
    next: Next


def _saved(schedule: Schedule) -> ScheduleSaved:
    text = "devin_update_schedule with enabled=false pauses it."
    if not schedule.enabled:
        text = "It is off: devin_update_schedule with enabled=true switches it on."
    return ScheduleSaved(
        schedule_id=schedule.schedule_id,
        enabled=schedule.enabled,
        runs=schedule.runs,
        next_runs=schedule.next_runs or None,
        next=text,
    )


@operation(
    CREATE,
    SCHEDULES,
    v3="POST /schedules",
    permission=PERMISSION,
    spends=True,
    if_reply_lost="The schedule may exist, and would spend. Look with devin_list_schedules before "
    "creating it again.",
    confirmation=Confirmation("Create the schedule", question_of_creating, "name"),
    search_hint="run again and again, every night, day, week or month, later, at a time, remind",
)
async def create_schedule(
    ctx: Context,
    name: ScheduleName,
    prompt: Prompt,
    frequency: Frequency | None = None,
    scheduled_at: Moment | None = None,
    playbook_id: PlaybookId | None = None,
    tags: Annotated[Tags | None, Field(description="Labels")] = None,
) -> ScheduleSaved:
    """Create a schedule: sessions that start by themselves, recurring or once, and cost ACUs."""
    describe_runs(frequency, scheduled_at)
    values = {
        "name": name,
        "prompt": prompt,
        "playbook_id": playbook_id,
        "tags": tags,
        **run_fields(frequency, scheduled_at),
    }
    body = ScheduleWrite(**{field: value for field, value in values.items() if value is not None})
    return _saved(await ctx.send(create_schedule, Schedule, body=body))


async def _name_of_schedule(ctx: Context, schedule_id: str) -> str:
    return (await read_schedule(ctx, schedule_id)).name


@operation(
    CHANGE,
    SCHEDULES,
    v3="PATCH /schedules/{schedule_id}",
    permission=PERMISSION,
    if_reply_lost="Look with devin_list_schedules whether it was changed before trying again.",
    confirmation=Confirmation(
        "Change the schedule", question_of_updating, "schedule_id", _name_of_schedule
    ),
    search_hint="pause, stop, resume, switch off or move a recurring job",
)
async def update_schedule(
    ctx: Context,
    schedule_id: ScheduleId,
    name: ScheduleName | None = None,
    prompt: Prompt | None = None,
    frequency: Frequency | None = None,
    scheduled_at: Moment | None = None,
    playbook_id: PlaybookId | None = None,
    tags: Annotated[Tags | None, Field(description="Labels")] = None,
    enabled: Annotated[bool | None, Field(description="false pauses it")] = None,
    clear: Clear[Literal["playbook_id", "tags"]] | None = None,
) -> ScheduleSaved:
    """Edit a schedule, pause or resume it. What is not given stays."""
    if frequency is not None or scheduled_at is not None:
        describe_runs(frequency, scheduled_at)
    values = {
        "name": name,
        "prompt": prompt,
        "playbook_id": playbook_id,
        "tags": tags,
        "enabled": enabled,
        **run_fields(frequency, scheduled_at),
    }
    body = ScheduleWrite(**Change(values, clear or ()).named_fields())
    return _saved(await ctx.send(update_schedule, Schedule, body=body, schedule_id=schedule_id))


class ScheduleDeleted(Result):
    schedule_id: str
    deleted: bool
    next: Next


@operation(
    DESTROY,
    SCHEDULES,
    v3="DELETE /schedules/{schedule_id}",
    permission=PERMISSION,
    confirmation=Confirmation(
        "Delete the schedule",
        "It starts no session any more. Sessions that it started stay.",
        "schedule_id",
        _name_of_schedule,
    ),
)
async def delete_schedule(ctx: Context, schedule_id: ScheduleId) -> ScheduleDeleted:
    """Delete a schedule. It starts no session any more."""
    await ctx.send(delete_schedule, Acknowledgement, schedule_id=schedule_id)
    return ScheduleDeleted(
        schedule_id=schedule_id, deleted=True, next="See what is left with devin_list_schedules."
    )
