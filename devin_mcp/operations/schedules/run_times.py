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
MAX_YEARS = 9
"""How far ahead a run is looked for: 29 February may be eight years away. A search takes about a
third of a millisecond for each year.
"""
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
NOT_CRON = (
    "frequency is no cron expression{reason}: give minute, hour, day, month and weekday in UTC, "
    "such as 0 9 * * 1 for Mondays at 09:00."
)
NEVER = f"frequency is a cron expression that has no run within {MAX_YEARS} years."


def in_words(frequency: str) -> str | None:
    """`0 2 * * *` -> `at 02:00 every day (UTC)`; None for what is no cron expression."""
    runs = _parse(frequency)
    if runs is None:
        return None
    text: str = runs.explain()
    return f"{text[:1].lower()}{text[1:]} (UTC)"


def next_runs(frequency: str) -> list[str]:
    """The next three runs; fewer if they are far away, none for what is no cron expression."""
    runs = _parse(frequency)
    return [] if runs is None else [run.strftime(TIME_FORMAT) for run in islice(runs, NEXT_RUNS)]


def is_ahead(moment: str | None) -> bool:
    """True for an ISO time that is still to come."""
    try:
        return moment is not None and _utc(datetime.fromisoformat(moment)) > _now()
    except (ValueError, OverflowError):
        return False


def cron_fields(frequency: str) -> str:
    """The expression with one blank between its fields. Raises Invalid if it never runs."""
    if (reason := _fault_of(frequency)) is not None:
        raise Invalid(NOT_CRON.format(reason=reason))
    if not next_runs(frequency):
        raise Invalid(NEVER)
    return " ".join(frequency.split())


def check_moment(moment: datetime) -> str:
    """The time as Devin takes it. One without an offset is UTC. Raises Invalid for a past one."""
    try:
        moment = _utc(moment)
    except OverflowError:  # year 1 or 9999
        raise Invalid("scheduled_at is no time that can come.") from None
    if moment <= _now():
        raise Invalid("scheduled_at is in the past; it is UTC unless it names an offset.")
    return moment.strftime(TIME_FORMAT)


def run_fields(frequency: str | None, scheduled_at: datetime | None) -> dict[str, str | None]:
    """The fields that say when; none of both keeps what there is. Raises Invalid.

    A single run refuses a cron expression (v3-additions.md §10).
    """
    if frequency is not None and scheduled_at is not None:
        raise Invalid("Give frequency or scheduled_at, not both.")
    if scheduled_at is not None:
        return {"schedule_type": "one_time", "scheduled_at": check_moment(scheduled_at)}
    if frequency is not None:
        return {"schedule_type": "recurring", "frequency": cron_fields(frequency)}
    return {}


def _now() -> datetime:
    return datetime.now(UTC)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parse(frequency: str) -> CronSim | None:
    """The runs from now on; None for what is no cron expression."""
    from cronsim import CronSimError

    if len(frequency) > MAX_CRON_CHARS or len(frequency.split()) != CRON_FIELDS:
        return None
    try:
        return _bounded(frequency)
    except CronSimError:
        return None


def _fault_of(frequency: str) -> str | None:
    """What is wrong with an expression, as the end of a clause; None if nothing is."""
    from cronsim import CronSimError

    count = len(frequency.split())
    if count != CRON_FIELDS:
        return f" ({count} fields instead of {CRON_FIELDS})"
    try:
        _bounded(frequency)
    except CronSimError as error:  # `Bad hour`, also for a day that no such month has
        return f" ({str(error).lower()})"
    return None


def _bounded(frequency: str) -> CronSim:
    from cronsim import CronSim

    class BoundedCron(CronSim):
        """Ends after MAX_YEARS instead of 50 years: some expressions never match."""

        last_year = _now().year + MAX_YEARS

        def advance_month(self) -> None:
            super().advance_month()
            if self.dt.year > self.last_year:
                raise StopIteration

    return BoundedCron(frequency, _now())
