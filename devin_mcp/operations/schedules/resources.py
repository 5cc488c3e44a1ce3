"""Schedules as a resource and completion."""

from __future__ import annotations

from devin_mcp.operations.browsing import ResourceContent, resource
from devin_mcp.operations.context import Context
from devin_mcp.operations.markdown import MAX_CELL_CHARS, one_line, table
from devin_mcp.operations.schedules.model import Schedule
from devin_mcp.operations.schedules.tools import list_schedules, read_schedules


@resource("devin://schedules", tool=list_schedules)
async def all_schedules(ctx: Context) -> ResourceContent:
    """What Devin starts by itself, and when, as one table."""
    schedules = await read_schedules(ctx)
    rows = [
        (
            one_line(schedule.name, MAX_CELL_CHARS),
            "on" if schedule.enabled else "off",
            schedule.runs,
            next(iter(schedule.next_runs), None),
            _last_run(schedule),
            schedule.schedule_id,
        )
        for schedule in schedules
    ]
    if not rows:
        return ResourceContent(
            "# Schedules\n\nThere is none.", "Create one with devin_create_schedule."
        )
    heads = ("Name", "Is", "Runs", "Next run", "Last run", "Id")
    lines, left_out = table(heads, rows, ctx.policy.result_limit)
    text = f"# Schedules\n\n{lines}"
    if left_out:
        return ResourceContent(
            text, f"{left_out} more do not fit here. Page through them with devin_list_schedules."
        )
    return ResourceContent(text, "Read the prompt of one with devin_list_schedules.")


def _last_run(schedule: Schedule) -> str:
    if schedule.consecutive_failures:
        return f"failed {schedule.consecutive_failures} times"
    return schedule.last_executed_at or ""
