"""Consumption of v3 (v3-additions.md §2). Below Enterprise the series is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.request import SandboxRequest
from devin_mcp.sandbox.request_bodies import read_integer
from devin_mcp.sandbox.scripts import SimulatedSession
from devin_mcp.sandbox.v3.sessions import session_of

TIMES = frozenset({"time_after", "time_before"})
ACUS_PER_SESSION = 1.5
DAY_BEGINS = timedelta(hours=8)


async def daily(request: SandboxRequest) -> Response:
    return _series(request, request.organization.sessions.values())


async def daily_of_session(request: SandboxRequest) -> Response:
    return _series(request, [session_of(request, "session_id")])


def _series(request: SandboxRequest, sessions: Iterable[SimulatedSession]) -> Response:
    query = request.http.query_params
    after, before = (
        read_integer(query, name, default)
        for name, default in (("time_after", 0), ("time_before", 2**40))
    )
    days = Counter(_begin_of_day(session.created_at) for session in sessions)
    rows: list[dict[str, Any]] = [
        {
            "date": day,
            "acus": count * ACUS_PER_SESSION,
            "acus_by_product": {"devin": count * ACUS_PER_SESSION, "cascade": None},
        }
        for day, count in sorted(days.items())
        if after < day < before and request.kind == "enterprise"
    ]
    total = sum(row["acus"] for row in rows)
    return JSONResponse({"total_acus": total, "consumption_by_date": rows})


def _begin_of_day(moment: datetime) -> int:
    """Unix seconds of 08:00 UTC."""
    shifted = moment.astimezone(UTC) - DAY_BEGINS
    begin = shifted.replace(hour=0, minute=0, second=0, microsecond=0) + DAY_BEGINS
    return int(begin.timestamp())
