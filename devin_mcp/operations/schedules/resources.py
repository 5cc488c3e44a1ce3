"""Schedules as a resource and completion."""

from __future__ import annotations

import anyio.to_thread

from devin_mcp.operations.browsing import ResourceContent, resource
from devin_mcp.operations.context import Context
from devin_mcp.operations.markdown import MAX_CELL_CHARS, one_line, table
from devin_mcp.operations.schedules.listing import list_schedules, read_schedules
from devin_mcp.operations.schedules.model import Schedule

MAX_SCHEDULES = 200
"""Of the table."""


@resource("devin://schedules", tool=list_schedules)
async def all_schedules(ctx: Context) -> ResourceContent:
    """What Devin starts by itself, and when, as one table."""
    schedules = (await read_schedules(ctx)).items
    if not schedules:
        return ResourceContent(
            "# Schedules\n\nThere is none.", "Create one with devin_create_schedule."
        )
    rows = await anyio.to_thread.run_sync(lambda: list(map(_row, schedules[:MAX_SCHEDULES])))
    heads = ("Name", "Is", "Runs", "Next run", "Last run", "Id")
    lines, left_out = table(heads, rows, ctx.policy.result_limit)
    left_out += len(schedules) - len(rows)
    text = f"# Schedules\n\n{lines}"
    if left_out:
        return ResourceContent(
            text, f"{left_out} more do not fit here. Page through them with devin_list_schedules."
        )
    return ResourceContent(text, "Read the prompt of one with devin_list_schedules.")


def _row(schedule: Schedule) -> tuple[str | None, ...]:
    last_run = schedule.last_executed_at
    if schedule.consecutive_failures > 0:
        last_run = f"{schedule.consecutive_failures} failed"
    return (
        one_line(schedule.name, MAX_CELL_CHARS),
        "on" if schedule.enabled else "off",
        schedule.runs,
        next(iter(schedule.next_runs), None),
        last_run,
        schedule.schedule_id,
    )
