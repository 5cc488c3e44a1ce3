"""What Devin has consumed: ACUs per day, of the organization or of one session."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from math import isfinite
from typing import Annotated

from pydantic import Field, FiniteFloat

from devin_mcp.api.endpoint import Lookup
from devin_mcp.api.models import ApiModel, ListOrNull
from devin_mcp.errors import Invalid
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import SessionId
from devin_mcp.operations.results import (
    NO_LIMIT,
    ROOM_FOR_NEXT,
    Next,
    Result,
    Truncatable,
    count_that_fit,
    json_chars,
)
from devin_mcp.settings.toolsets import USAGE

PERMISSION = "ViewOrgConsumption"
GET_SESSION_USAGE = Lookup.declare(
    "get_session_usage", v3="GET /consumption/daily/sessions/{session_id}", permission=PERMISSION
)
DAY_BEGINS = time(8)
"""UTC; a day of Devin's begins then (v3-additions.md §2)."""
DECIMALS = 4

Day = Annotated[
    date, Field(ge=date(2024, 1, 1), le=date(2099, 12, 31), description="As 2026-11-30")
]


class DailyConsumption(ApiModel):
    """One day as Devin returns it."""

    begins_at: float | None = Field(None, validation_alias="date")
    """Unix seconds."""
    acus: FiniteFloat | None = None

    @property
    def day(self) -> date | None:
        """The day that begins then; None for what is no time."""
        try:
            begin = self.begins_at
            return None if begin is None else datetime.fromtimestamp(begin, UTC).date()
        except (OverflowError, ValueError, OSError):
            return None


class Consumption(ApiModel):
    """An empty series says nothing, not that nothing was used (v3-additions.md §2)."""

    consumption_by_date: ListOrNull[DailyConsumption] = []


class DailyUsage(ApiModel):
    day: str
    acus: float


class Usage(Result):
    session_id: str | None = None
    total_acus: float | None = Field(None, description="Of the days shown")
    days: list[DailyUsage] = Field(description="Newest first; a day begins at 08:00 UTC")
    days_left_out: int | None = Field(None, description="Older ones that did not fit")
    next: Next


@operation(
    READ,
    USAGE,
    v3="GET /consumption/daily",
    permission=PERMISSION,
    search_hint="cost, spending, spend, billing, consumption, credits, quota",
)
async def get_usage(
    ctx: Context,
    session_id: SessionId | None = None,
    first_day: Day | None = None,
    last_day: Day | None = None,
) -> Truncatable[Usage]:
    """Read how many ACUs Devin has used each day, in all or in one session."""
    if first_day and last_day and first_day > last_day:
        raise Invalid("first_day is after last_day.")
    query = {
        "time_after": _begin_of(first_day) - 1 if first_day else None,
        "time_before": _begin_of(last_day + timedelta(days=1)) if last_day else None,
    }
    if session_id is None:
        consumption = await ctx.send(get_usage, Consumption, query=query)
    else:
        consumption = await ctx.send(
            GET_SESSION_USAGE, Consumption, query=query, session_id=session_id
        )
    series = consumption.consumption_by_date
    days = [
        DailyUsage(day=day.isoformat(), acus=row.acus)
        for row in series
        if (day := row.day) is not None and row.acus is not None
    ]
    first, last = str(first_day or ""), str(last_day or "9999")
    rows = sorted((day for day in days if first <= day.day <= last), key=lambda day: day.day)
    return _usage(session_id, rows[::-1], len(series), len(series) - len(days))


def _begin_of(day: date) -> int:
    """Unix seconds."""
    return int(datetime.combine(day, DAY_BEGINS, UTC).timestamp())


def _usage(
    session_id: str | None, rows: list[DailyUsage], reported: int, unreadable: int
) -> Truncatable[Usage]:
    """`rows` are those to show; `reported` counts all that Devin sent."""

    def build(limit: int) -> Usage:
        if limit >= NO_LIMIT:
            return make(rows)
        room = limit - json_chars(make([])) - ROOM_FOR_NEXT
        return make(rows[: count_that_fit(rows, room)])

    def make(shown_rows: list[DailyUsage]) -> Usage:
        left_out = len(rows) - len(shown_rows)
        total = sum(row.acus for row in shown_rows)
        text = "What a session costs is limited with max_acu_limit of devin_delegate_task."
        if not reported:
            text = (
                "Devin reports no usage for this. That means unknown, not 0: plans below "
                "Enterprise report none."
            )
        elif left_out:
            text = f"Older days: devin_get_usage with last_day={rows[len(shown_rows)].day}."
        elif not rows:
            text = "Devin reports usage, and none for these days."
        if unreadable:
            text = f"{unreadable} days could not be read. {text}"
        return Usage(
            session_id=session_id,
            total_acus=round(total, DECIMALS) if rows and isfinite(total) else None,
            days=shown_rows,
            days_left_out=left_out or None,
            next=text,
        )

    return Truncatable(build)
