"""ACUs per day, of the organization or of one session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.conftest import Connect
from tests.upstream import KEYS, Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 does not tell what was used.")

ENTERPRISE = {
    "DEVIN_API_KEY": KEYS["v3"].replace("sandbox", "sandbox_enterprise"),
    "org_id": "org-sandbox",
    "toolsets": "usage,sessions",
}
FIRST = datetime(2026, 11, 1, 8, tzinfo=UTC)


def series(*acus: float) -> dict[str, Any]:
    """Days from 2026-11-01 on, oldest first."""
    rows = [
        {"date": int((FIRST + timedelta(days=day)).timestamp()), "acus": value}
        for day, value in enumerate(acus)
    ]
    return {"total_acus": sum(acus), "consumption_by_date": rows}


async def test_usage_of_an_enterprise_is_told_by_day(connect: Connect) -> None:
    async with connect(**ENTERPRISE) as client:
        session_id = await client.create_session()
        await client.create_session()
        usage = await client.ok("get_usage")
        of_session = await client.ok("get_usage", session_id=session_id)
    assert usage["total_acus"] == 3.0
    assert [day["acus"] for day in usage["days"]] == [3.0]
    assert of_session["total_acus"] == 1.5
    assert of_session["session_id"] == session_id


async def test_empty_series_is_unknown_and_not_zero(connect: Connect) -> None:
    async with connect(toolsets="usage") as client:
        usage = await client.ok("get_usage")
    assert usage["days"] == []
    assert "total_acus" not in usage
    assert "unknown, not 0" in usage["next"]


async def test_days_begin_at_eight_and_both_ends_count(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("get_usage", answer(200, series(1, 2, 3, 4)))
    async with connect(toolsets="usage") as client:
        usage = await client.ok("get_usage", first_day="2026-11-02", last_day="2026-11-03")
    (request,) = upstream.sent("get_usage")
    query = parse_qs(request.query)
    begin, end = FIRST + timedelta(days=1), FIRST + timedelta(days=3)
    assert query == {
        "time_after": [str(int(begin.timestamp()) - 1)],
        "time_before": [str(int(end.timestamp()))],
    }
    assert usage["days"] == [{"day": "2026-11-03", "acus": 3}, {"day": "2026-11-02", "acus": 2}]
    assert usage["total_acus"] == 5


async def test_older_days_that_do_not_fit_are_read_on(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("get_usage", *[answer(200, series(*[1.5] * 400))] * 9)
    days: list[str] = []
    last_day = None
    async with connect(toolsets="usage", result_limit=4000) as client:
        while True:
            usage = await client.ok("get_usage", last_day=last_day)
            days += [day["day"] for day in usage["days"]]
            if "days_left_out" not in usage:
                break
            last_day = usage["next"].partition("last_day=")[2].rstrip(".")
    assert len(set(days)) == len(days) == 400


async def test_day_that_cannot_be_read_loses_no_other(connect: Connect, upstream: Upstream) -> None:
    rows: list[Any] = series(1, 2)["consumption_by_date"]
    odd: list[Any] = [
        {"date": rows[0]["date"], "acus": None},
        {"date": "2026-11-01", "acus": 1},
        {"date": 1e300, "acus": 1},
        {"acus": 5},
    ]
    body = {"total_acus": 9, "consumption_by_date": [*odd, *rows]}
    upstream.fail_operation("get_usage", answer(200, body))
    async with connect(toolsets="usage") as client:
        usage = await client.ok("get_usage")
    assert [day["acus"] for day in usage["days"]] == [2, 1]
    assert usage["next"].startswith("4 days could not be read.")


async def test_sum_that_is_no_number_is_left_out(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("get_usage", answer(200, series(1e308, 1e308)))
    async with connect(toolsets="usage") as client:
        usage = await client.ok("get_usage")
    assert len(usage["days"]) == 2
    assert "total_acus" not in usage


async def test_other_days_are_no_question_of_the_plan(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("get_usage", answer(200, series(1, 2, 3)))
    async with connect(toolsets="usage") as client:
        usage = await client.ok("get_usage", first_day="2026-12-24")
    assert usage["days"] == []
    assert usage["next"] == "Devin reports usage, and none for these days."


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"first_day": "soon"}, "first_day must be a date such as 2026-11-30"),
        ({"first_day": "2026-02-30"}, "first_day must be a date such as 2026-11-30"),
        ({"first_day": 0}, "first_day must be a text"),
        ({"last_day": "9999-12-31"}, "last_day must be at most 2099-12-31"),
        ({"first_day": "2026-11-03", "last_day": "2026-11-01"}, "first_day is after last_day"),
    ],
)
async def test_wrong_days_are_refused(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], says: str
) -> None:
    async with connect(toolsets="usage") as client:
        assert says in await client.error("get_usage", **arguments)
    assert upstream.requests == []
