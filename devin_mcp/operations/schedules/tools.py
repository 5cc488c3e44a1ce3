"""Schedules as tools: create, change and delete what starts sessions by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from devin_mcp.api.models import Acknowledgement
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, Confirmation, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import NOT_BLANK, PlaybookId, Tags, Text
from devin_mcp.operations.partial_update import Clear
from devin_mcp.operations.results import Next, Result
from devin_mcp.operations.schedules.listing import PERMISSION, ScheduleId, read_schedule
from devin_mcp.operations.schedules.model import Schedule, ScheduleWrite, UsedPlaybook
from devin_mcp.operations.schedules.questions import (
    change_of,
    question_of_creating,
    question_of_updating,
    timing_of_new,
    used_playbook,
)
from devin_mcp.operations.schedules.run_times import MAX_CRON_CHARS
from devin_mcp.settings.toolsets import SCHEDULES

ScheduleName = Annotated[str, Field(max_length=500, description="Its name"), NOT_BLANK]
Prompt = Annotated[Text, Field(description="The task, complete in itself")]
Frequency = Annotated[
    str, Field(max_length=MAX_CRON_CHARS, description="Cron in UTC, as 0 9 * * 1")
]
Moment = Annotated[datetime, Field(description="Or once, as 2026-11-30T09:00Z")]


class ScheduleSaved(Result):
    schedule_id: str
    enabled: bool
    runs: str = Field(description="When, in words")
    next_runs: list[str] | None = None
    playbook: UsedPlaybook | None = None
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
        playbook=schedule.playbook,
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
    """Create a schedule, which starts sessions by itself, recurring or once, and costs ACUs."""
    timing = timing_of_new({"frequency": frequency, "scheduled_at": scheduled_at})
    await used_playbook(ctx, playbook_id)
    optional = {"playbook_id": playbook_id, "tags": tags}
    given = {field: value for field, value in optional.items() if value is not None}
    body = ScheduleWrite(name=name, prompt=prompt, **timing, **given)
    return _saved(await ctx.send(create_schedule, Schedule, body=body))


async def _name_of_schedule(ctx: Context, schedule_id: str) -> str:
    return (await read_schedule(ctx, schedule_id)).name


@operation(
    CHANGE,
    SCHEDULES,
    v3="PATCH /schedules/{schedule_id}",
    permission=PERMISSION,
    spends=True,
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
    change = change_of(
        {
            "name": name,
            "prompt": prompt,
            "frequency": frequency,
            "scheduled_at": scheduled_at,
            "playbook_id": playbook_id,
            "tags": tags,
            "enabled": enabled,
            "clear": clear,
        }
    )
    await used_playbook(ctx, playbook_id)
    body = ScheduleWrite(**change.named_fields())
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
