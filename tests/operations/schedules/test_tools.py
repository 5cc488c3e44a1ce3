"""Schedules as tools: what starts sessions by itself is created, changed, paused and deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import Upstream, answer, lose_reply

pytestmark = pytest.mark.one_api("v3", reason="v1 has no schedules.")

ON = {"toolsets": "schedules,sessions"}
NIGHTLY = {"name": "Nightly", "prompt": "Run all tests", "frequency": "0 2 * * *"}


def in_days(days: int) -> str:
    """A moment, as a person writes it."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT09:00Z")


async def test_recurring_schedule_is_sent_and_echoed_as_next_runs(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect(**ON) as client:
        created = await client.ok(
            "create_schedule", **NIGHTLY, tags=["nightly"], playbook_id="playbook-0001"
        )
        assert (await client.ok("list_sessions"))["sessions"] == []
        clock.skip(24 * 3600)
        (session,) = (await client.ok("list_sessions"))["sessions"]
    (sent,) = upstream.sent("create_schedule")
    assert sent.json == {
        **NIGHTLY,
        "schedule_type": "recurring",
        "tags": ["nightly"],
        "playbook_id": "playbook-0001",
    }
    assert created["runs"] == "at 02:00 every day (UTC)"
    assert len(created["next_runs"]) == 3
    assert "enabled=false" in created["next"]
    assert session["tags"] == ["nightly"]


async def test_single_run_disables_itself(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    moment = in_days(2)
    async with connect(**ON) as client:
        created = await client.ok("create_schedule", name="Once", prompt="p", scheduled_at=moment)
        clock.skip(3 * 24 * 3600)
        rows = (await client.ok("list_schedules"))["schedules"]
    sent = upstream.sent("create_schedule")[0].json
    whole_moment = moment.replace("Z", ":00Z")
    assert sent == {
        "name": "Once",
        "prompt": "p",
        "schedule_type": "one_time",
        "scheduled_at": whole_moment,
    }
    assert created["next_runs"] == [whole_moment]
    (once,) = (row for row in rows if row["name"] == "Once")
    assert (once["enabled"], once.get("next_runs")) == (False, None)
    assert once["last_executed_at"] > whole_moment


@pytest.mark.parametrize(
    ("timing", "says"),
    [
        ({}, "Give frequency, or scheduled_at"),
        ({"frequency": "0 2 * * *", "scheduled_at": "2099-01-01T00:00Z"}, "not both"),
        ({"frequency": "every day"}, "frequency is no cron expression"),
        ({"frequency": "@daily"}, "frequency is no cron expression"),
        ({"frequency": "0 0 2 * * *"}, "no cron expression (6 fields instead of 5): give"),
        ({"frequency": "0 25 * * *"}, "frequency is no cron expression (bad hour): give"),
        ({"frequency": "0 0 31 2 *"}, "frequency is no cron expression (bad day-of-month): give"),
        ({"frequency": "0 9 30 2 MON#6,1"}, "frequency is no cron expression"),
        ({"frequency": "0 9 */31 * 1#3"}, "has no run within 9 years"),
        ({"frequency": "0 " * 60}, "frequency is longer than 100 characters"),
        ({"scheduled_at": "2020-01-01T00:00Z"}, "scheduled_at is in the past"),
        ({"scheduled_at": "tomorrow"}, "scheduled_at must be a time such as"),
        ({"scheduled_at": 4_000_000_000}, "scheduled_at must be a text"),
        ({"scheduled_at": "9999-12-31T23:59:59-23:00"}, "scheduled_at is no time that can come"),
    ],
)
async def test_wrong_timing_is_refused_before_anybody_is_asked(
    connect: Connect, upstream: Upstream, timing: dict[str, Any], says: str
) -> None:
    async with connect(**ON) as client:
        text = await client.error("create_schedule", name="n", prompt="p", **timing)
        assert says in text
        if timing:
            text = await client.error("update_schedule", schedule_id="sched-0001", **timing)
            assert says in text
    assert upstream.requests == []


async def test_moment_with_an_offset_becomes_utc(connect: Connect, upstream: Upstream) -> None:
    async with connect(**ON) as client:
        for moment in ("2090-06-01T09:00:00+02:00", "2090-06-01T07:00:00"):
            await client.ok("create_schedule", name="n", prompt="p", scheduled_at=moment)
    sent = [request.json["scheduled_at"] for request in upstream.sent("create_schedule")]
    assert sent == ["2090-06-01T07:00:00Z"] * 2


async def test_change_sends_only_what_is_named(connect: Connect, upstream: Upstream) -> None:
    async with connect(**ON) as client:
        for arguments in (
            {"enabled": False},
            {"name": "Weekly"},
            {"prompt": "p", "playbook_id": None, "tags": None},
            {"clear": ["playbook_id", "tags"]},
            {"frequency": "0 7 * * 2"},
        ):
            await client.ok("update_schedule", schedule_id="sched-0001", **arguments)
        (row,) = (await client.ok("list_schedules", schedule_id="sched-0001"))["schedules"]
        await client.ok("update_schedule", schedule_id="sched-0002", frequency="0  7\n* * 2")
    assert upstream.sent("update_schedule")[-1].json["frequency"] == "0 7 * * 2"
    assert [request.json for request in upstream.sent("update_schedule")][:-1] == [
        {"enabled": False},
        {"name": "Weekly"},
        {"prompt": "p"},
        {"playbook_id": None, "tags": None},
        {"frequency": "0 7 * * 2", "schedule_type": "recurring"},
    ]
    assert (row["name"], row["prompt"], row["enabled"]) == ("Weekly", "p", False)
    assert row["runs"] == "at 07:00 on Tuesday (UTC)"
    assert "playbook" not in row


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "Nothing to change"),
        ({"tags": ["t"], "clear": ["tags"]}, "tags has a value and is in clear"),
        ({"clear": ["prompt"]}, "clear[0] must be 'playbook_id' or 'tags'"),
    ],
)
async def test_change_of_nothing_is_refused(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], says: str
) -> None:
    async with connect(**ON) as client:
        text = await client.error("update_schedule", schedule_id="sched-0001", **arguments)
    assert says in text
    assert upstream.sent("update_schedule") == []


async def test_cron_of_a_schedule_that_now_runs_once_is_not_shown(
    connect: Connect, upstream: Upstream
) -> None:
    """Devin still returns it (v3-additions.md §10)."""
    moment = in_days(9)
    async with connect(**ON) as client:
        saved = await client.ok("update_schedule", schedule_id="sched-0001", scheduled_at=moment)
        (row,) = (await client.ok("list_schedules", schedule_id="sched-0001"))["schedules"]
    assert upstream.organization.schedules["sched-0001"]["frequency"] == "0 6 * * 1"
    assert "frequency" not in row
    assert saved["runs"] == row["runs"] == f"once at {moment.replace('Z', ':00Z')}"


async def test_request_rate_of_schedules_is_no_limit_of_sessions(
    connect: Connect, upstream: Upstream
) -> None:
    refused = answer(429, {"detail": "Too many requests; your concurrency is limited"})
    upstream.fail_operation("create_schedule", *[refused] * 9)
    async with connect(**ON) as client:
        text = await client.error("create_schedule", **NIGHTLY)
    assert "Devin is being asked too often (429)" in text
    assert "terminate" not in text


async def test_lost_reply_is_not_sent_again(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("create_schedule", lose_reply)
    upstream.fail_operation("update_schedule", lose_reply)
    async with connect(**ON) as client:
        created = await client.error("create_schedule", **NIGHTLY)
        changed = await client.error("update_schedule", schedule_id="sched-0001", enabled=False)
    assert "may exist, and would spend. Look with devin_list_schedules" in created
    assert "Look with devin_list_schedules whether it was changed" in changed
    assert len(upstream.sent("create_schedule")) == len(upstream.sent("update_schedule")) == 1


async def test_deleted_schedule_is_gone(connect: Connect, upstream: Upstream) -> None:
    async with connect(**ON) as client:
        deleted = await client.ok("delete_schedule", schedule_id="sched-0002")
        text = await client.error("delete_schedule", schedule_id="sched-0002")
    assert deleted["deleted"] is True
    assert list(upstream.organization.schedules) == ["sched-0001"]
    assert "does not know that id" in text
