"""What a person is asked before a schedule is created, or changed so that it spends otherwise: a
schedule spends with nobody asked.
"""

from __future__ import annotations

from typing import Any

from devin_mcp.errors import BadKey, DevinError, Invalid, NotFound
from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.catalog import Arguments, NothingToConfirm
from devin_mcp.operations.context import Context
from devin_mcp.operations.partial_update import Change
from devin_mcp.operations.playbooks.tools import read_playbook
from devin_mcp.operations.schedules.listing import read_schedule
from devin_mcp.operations.schedules.model import Schedule, UsedPlaybook
from devin_mcp.operations.schedules.run_times import run_fields

MAX_PROMPT_CHARS = 200
MAX_TITLE_CHARS = 80
SPENDS = (
    "Nobody is asked before a run, and it costs ACUs; --max-acu and --max-sessions do not limit "
    "what Devin starts by itself."
)
NO_TIME = "Give frequency, or scheduled_at for a single run."
CHANGED_BY = {"prompt", "frequency", "scheduled_at", "playbook_id"}
"""Arguments that decide what a schedule does and when."""
EMPTY = Schedule(schedule_id="", name="")


def timing_of_new(arguments: Arguments) -> dict[str, str | None]:
    """The fields that say when a new schedule runs. Raises Invalid without a time."""
    fields = run_fields(arguments["frequency"], arguments["scheduled_at"])
    if not fields:
        raise Invalid(NO_TIME)
    return fields


def change_of(arguments: Arguments) -> Change:
    """What an update changes. Raises Invalid."""
    names = ("name", "prompt", "playbook_id", "tags", "enabled")
    values = {name: arguments[name] for name in names}
    values |= run_fields(arguments["frequency"], arguments["scheduled_at"])
    return Change(values, arguments["clear"] or ())


async def used_playbook(ctx: Context, playbook_id: str | None) -> UsedPlaybook | None:
    """The playbook with its title, or without where it cannot be read. Raises NotFound."""
    if playbook_id is None:
        return None
    try:
        playbook = await read_playbook(ctx, playbook_id)
    except (BadKey, NotFound):
        raise
    except DevinError:
        return UsedPlaybook(playbook_id=playbook_id)
    return UsedPlaybook(playbook_id=playbook_id, title=playbook.title)


async def question_of_creating(ctx: Context, arguments: Arguments) -> str:
    fields: dict[str, Any] = dict(timing_of_new(arguments))
    fields["prompt"] = arguments["prompt"]
    fields["playbook"] = await used_playbook(ctx, arguments["playbook_id"])
    return _describe(EMPTY.model_copy(update=fields))


async def question_of_updating(ctx: Context, arguments: Arguments) -> str:
    fields = change_of(arguments).named_fields()
    is_other = not CHANGED_BY.isdisjoint(name for name in fields)
    if not is_other and not arguments["enabled"]:
        raise NothingToConfirm
    try:
        schedule = await read_schedule(ctx, arguments["schedule_id"])
    except (BadKey, NotFound):
        raise
    except DevinError:  # what it does then is not known
        return SPENDS
    if "playbook_id" in fields:
        fields["playbook"] = await used_playbook(ctx, fields["playbook_id"])
    changed = schedule.model_copy(update=fields)
    if not changed.enabled:
        raise NothingToConfirm
    return _describe(changed)


def _describe(schedule: Schedule) -> str:
    """When it runs, with which playbook, what it is told, and that it spends."""
    runs = schedule.next_runs
    following = f", next on {', '.join(runs)}" if len(runs) > 1 else ""
    prompt = quote_line(schedule.prompt, MAX_PROMPT_CHARS)
    target = f" in session {schedule.target_devin_id}" if schedule.target_devin_id else ""
    playbook = "without a playbook"
    if schedule.playbook is not None:
        title = schedule.playbook.title or schedule.playbook.playbook_id
        playbook = f"with the playbook {quote_line(title, MAX_TITLE_CHARS)}"
    return f"It runs {schedule.runs}{following}{target}, {playbook}: {prompt}. {SPENDS}"
