"""What a person is asked before a schedule is created, or changed so that it spends otherwise: a
schedule spends with nobody asked.
"""

from __future__ import annotations

from devin_mcp.operations.catalog import Arguments, NothingToConfirm
from devin_mcp.operations.schedules.run_times import describe_runs

SPENDS = (
    "Each run starts a session that costs ACUs, and asks nobody; --max-acu and --max-sessions do "
    "not limit it."
)
SPENDING_ARGUMENTS = ("prompt", "frequency", "scheduled_at", "playbook_id")
"""What decides what a schedule spends. A change of anything else needs no question."""


def question_of_creating(arguments: Arguments) -> str:
    return f"It runs {describe_runs(arguments['frequency'], arguments['scheduled_at'])}. {SPENDS}"


def question_of_updating(arguments: Arguments) -> str:
    frequency, scheduled_at = arguments["frequency"], arguments["scheduled_at"]
    if frequency is not None or scheduled_at is not None:
        return f"It then runs {describe_runs(frequency, scheduled_at)}. {SPENDS}"
    if arguments["enabled"] or any(arguments[name] is not None for name in SPENDING_ARGUMENTS):
        return SPENDS
    raise NothingToConfirm
