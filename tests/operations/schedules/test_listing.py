"""Listing schedules: what runs and when, on all pages, and one with its whole prompt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from mcp import MCPError

from tests.conftest import Connect
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 has no schedules.")

ON = {"toolsets": "schedules,sessions"}


async def test_schedules_are_off_by_default(connect: Connect) -> None:
    async with connect() as client:
        names = {tool.name for tool in (await client.sdk.list_tools()).tools}
        assert not [name for name in names if "schedule" in name]
        assert "There is no tool" in await client.error("list_schedules")


async def test_resource_is_there_together_with_its_toolset(connect: Connect) -> None:
    uri = "devin://schedules"
    async with connect() as client:
        assert uri not in {resource.uri for resource in await client.resources()}
        with pytest.raises(MCPError, match="Unknown resource: devin://schedules"):
            await client.read(uri)
    async with connect(**ON) as client:
        assert uri in {resource.uri for resource in await client.resources()}


async def test_operator_sees_what_runs_and_when(connect: Connect) -> None:
    async with connect(**ON) as client:
        weekly, nightly = (await client.ok("list_schedules"))["schedules"]
        text = await client.read("devin://schedules")
    assert weekly["runs"] == "at 06:00 on Monday (UTC)"
    runs = [datetime.fromisoformat(run) for run in weekly["next_runs"]]
    assert all(run.weekday() == 0 and run.hour == 6 for run in runs)
    assert [later - earlier for earlier, later in pairwise(runs)] == [timedelta(days=7)] * 2
    assert runs[0] > datetime.now(UTC)
    assert weekly["playbook"]["title"] == "Upgrade a dependency"
    assert (nightly["enabled"], nightly.get("next_runs")) == (False, None)
    assert "| Weekly dependency upgrade | on | at 06:00 on Monday (UTC) | 20" in text
    assert "| Nightly flaky test hunt | off | at 02:30 on Monday through Friday (UTC) |  |" in text


async def test_cron_that_is_not_understood_stays_as_it_is(
    connect: Connect, upstream: Upstream
) -> None:
    row = {
        "scheduled_session_id": "sched-1",
        "name": "n",
        "prompt": "p",
        "enabled": True,
        "frequency": "@reboot",
    }
    upstream.fail_operation("list_schedules", answer(200, {"items": [row]}))
    async with connect(**ON) as client:
        (schedule,) = (await client.ok("list_schedules"))["schedules"]
    assert (schedule["runs"], schedule.get("next_runs")) == ("@reboot (UTC)", None)


async def test_times_that_devin_skips_are_not_promised(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.organization.schedules["sched-0001"]["interval_count"] = 4
    async with connect(**ON) as client:
        schedule = (await client.ok("list_schedules"))["schedules"][0]
    assert schedule["runs"] == "at 06:00 on Monday (UTC), once in 4 times"
    assert "next_runs" not in schedule


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"from_char": 10}, "from_char needs schedule_id"),
        ({"schedule_id": "sched-0001", "cursor": "x"}, "schedule_id or cursor, not both"),
        ({"schedule_id": "sched-0001", "from_char": 9999}, "from_char is behind its end"),
    ],
)
async def test_arguments_that_do_not_fit_together_are_refused(
    connect: Connect, arguments: dict[str, Any], says: str
) -> None:
    async with connect(**ON) as client:
        assert says in await client.error("list_schedules", **arguments)


async def test_one_schedule_is_readable_however_long_its_other_texts_are(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.organization.schedules["sched-0001"] |= {
        "name": "n" * 9000,
        "tags": ["t" * 9000],
        "last_error_message": "e" * 9000,
        "consecutive_failures": 1,
        "prompt": "p" * 20_000,
    }
    async with connect(result_limit=10_000, **ON) as client:
        page = await client.ok("list_schedules", schedule_id="sched-0001")
    assert "from_char=" in page["next"]
    assert len(page["schedules"][0]["prompt"]) > 4000


async def test_list_that_is_cut_off_does_not_advise_to_create(
    connect: Connect, upstream: Upstream
) -> None:
    body = {"items": [], "has_next_page": True, "total": 450}
    upstream.fail_operation("list_schedules", answer(200, body))
    async with connect(**ON) as client:
        listed = await client.ok("list_schedules")
    assert listed["next"].startswith("Devin has more rows and does not say where they begin.")
    assert "create" not in listed["next"]


@pytest.mark.parametrize("has_flag", [True, False], ids=["flag", "no flag"])
async def test_all_pages_of_schedules_are_read_by_offset(
    connect: Connect, upstream: Upstream, *, has_flag: bool
) -> None:
    (example,) = list(upstream.organization.schedules.values())[:1]
    upstream.organization.schedules = {
        f"sched-{number:04d}": example | {"scheduled_session_id": f"sched-{number:04d}"}
        for number in range(450)
    }
    if not has_flag:
        rows = list(upstream.organization.schedules.values())
        parts = [rows[:200], rows[200:400], rows[400:]]
        upstream.fail_operation(
            "list_schedules", *[answer(200, {"items": part}) for part in parts * 5]
        )
    async with connect(**ON) as client:
        rows = await client.list_all("list_schedules", "schedules")
    assert len({row["schedule_id"] for row in rows}) == len(rows) == 450
    pages = ["limit=200", "limit=200&offset=200", "limit=200&offset=400"]
    assert [request.query for request in upstream.sent("list_schedules")][:3] == pages


async def test_long_prompt_is_read_on_and_nothing_is_lost(
    connect: Connect, upstream: Upstream
) -> None:
    prompt = "".join(f"{number:05d}\n" for number in range(4000))
    upstream.organization.schedules["sched-0001"]["prompt"] = prompt
    parts, start = [], 0
    async with connect(result_limit=10_000, **ON) as client:
        listed = (await client.ok("list_schedules"))["schedules"][0]
        assert (len(listed["prompt"]), listed["prompt_length"]) == (200, len(prompt))
        while start < len(prompt):
            page = await client.ok("list_schedules", schedule_id="sched-0001", from_char=start)
            parts.append(page["schedules"][0]["prompt"])
            start += len(parts[-1])
            assert (f"from_char={start}" in page["next"]) is (start < len(prompt))
    assert "".join(parts) == prompt
    assert len(parts) > 2
