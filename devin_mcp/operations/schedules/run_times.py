"""When a schedule runs: cron and moments in words, and the next runs. All times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from devin_mcp.errors import Invalid

if TYPE_CHECKING:
    from cronsim import CronSim

NEXT_RUNS = 3
CRON_FIELDS = 5
MAX_CRON_CHARS = 100
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
NOT_CRON = (
    "frequency is no cron expression: give minute, hour, day, month and weekday in UTC, such as "
    "0 9 * * 1 for Mondays at 09:00."
)


def check_moment(moment: datetime) -> str:
    """The time as Devin takes it. One without an offset is UTC. Raises Invalid for a past one."""
    try:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:  # year 1 or 9999
        raise Invalid("scheduled_at is no time that can come.") from None
    if moment <= datetime.now(UTC):
        raise Invalid("scheduled_at is in the past; it is UTC unless it names an offset.")
    return moment.strftime(TIME_FORMAT)


def in_words(frequency: str) -> str | None:
    """`0 2 * * *` -> `at 02:00 every day (UTC)`; None for what is no cron expression."""
    runs = _parse(frequency)
    if runs is None:
        return None
    text: str = runs.explain()
    return f"{text[:1].lower()}{text[1:]} (UTC)"


def next_runs(frequency: str) -> list[str]:
    """The next three runs; empty for what is no cron expression, or one that never runs."""
    runs = _parse(frequency)
    return [] if runs is None else [run.strftime(TIME_FORMAT) for run in islice(runs, NEXT_RUNS)]


def _parse(frequency: str) -> CronSim | None:
    from cronsim import CronSim, CronSimError

    if len(frequency) > MAX_CRON_CHARS or len(frequency.split()) != CRON_FIELDS:
        return None
    try:
        return CronSim(frequency, datetime.now(UTC))
    except CronSimError:
        return None


def describe_runs(frequency: str | None, scheduled_at: datetime | None) -> str:
    """When a schedule with one of the two runs. Raises Invalid."""
    if frequency is not None and scheduled_at is not None:
        raise Invalid("Give frequency or scheduled_at, not both.")
    if frequency is not None:
        runs = next_runs(frequency)
        if not runs:
            raise Invalid(NOT_CRON)
        return f"{in_words(frequency)}, next on {', '.join(runs)}"
    if scheduled_at is not None:
        return f"once, on {check_moment(scheduled_at)}"
    raise Invalid("Give frequency, or scheduled_at for a single run.")


def run_fields(frequency: str | None, scheduled_at: datetime | None) -> dict[str, str | None]:
    """The fields that say when. A single run refuses a cron expression (v3-additions.md §10)."""
    if scheduled_at is not None:
        return {"schedule_type": "one_time", "scheduled_at": check_moment(scheduled_at)}
    return {"schedule_type": "recurring" if frequency else None, "frequency": frequency}
