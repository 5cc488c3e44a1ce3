"""A schedule spends with nobody asked: a person is asked before it exists, or spends otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect, Era
from tests.server.fake_user import FakeUser
from tests.upstream import Upstream

pytestmark = pytest.mark.one_api("v3", reason="v1 has no schedules.")

NIGHTLY = {"name": "Nightly", "prompt": "Run all tests", "frequency": "0 2 * * *"}
SPENDS = "--max-acu and --max-sessions do not limit it."


async def test_creating_is_asked_about_with_its_next_runs(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    user = FakeUser()
    async with connect(era=era, ask=user, toolsets="schedules") as client:
        created = await client.ok("create_schedule", **NIGHTLY)
    (question,) = user.questions
    runs = ", ".join(created["next_runs"])
    assert question == (
        f'Create the schedule "Nightly"? It runs at 02:00 every day (UTC), next on {runs}. Each '
        f"run starts a session that costs ACUs, and asks nobody; {SPENDS}"
    )
    assert len(upstream.sent("create_schedule")) == 1


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_nothing_is_created_without_a_yes(
    connect: Connect, upstream: Upstream, era: Era, action: str
) -> None:
    async with connect(era=era, ask=FakeUser(action), toolsets="schedules") as client:
        text = await client.error("create_schedule", **NIGHTLY)
    assert "Nothing was changed" in text
    assert upstream.requests == []


async def test_confirm_always_refuses_a_client_that_cannot_ask(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    async with connect(era=era, confirm="always", toolsets="schedules") as client:
        text = await client.error("create_schedule", **NIGHTLY)
    assert "--confirm always" in text
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (
            {"frequency": "*/5 * * * *"},
            "It then runs every fifth minute of every hour (UTC), next on 20",
        ),
        ({"scheduled_at": "2090-01-01T00:00Z"}, "It then runs once, on 2090-01-01T00:00:00Z."),
        ({"enabled": True}, "Each run starts a session"),
        ({"prompt": "Rewrite everything"}, "Each run starts a session"),
        ({"playbook_id": "playbook-0001"}, "Each run starts a session"),
    ],
)
async def test_change_of_what_it_spends_is_asked_about(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], part: str
) -> None:
    user = FakeUser("decline")
    async with connect(ask=user, toolsets="schedules") as client:
        await client.error("update_schedule", schedule_id="sched-0002", **arguments)
    (question,) = user.questions
    assert question.startswith(
        f'Change the schedule "Nightly flaky test hunt" (sched-0002)? {part}'
    )
    assert question.endswith(SPENDS)
    assert upstream.sent("update_schedule") == []


@pytest.mark.parametrize(
    "arguments",
    [{"enabled": False}, {"name": "n"}, {"tags": ["t"]}, {"clear": ["playbook_id"]}],
    ids=str,
)
async def test_other_changes_need_no_question(connect: Connect, arguments: dict[str, Any]) -> None:
    user = FakeUser("decline")
    async with connect(ask=user, toolsets="schedules") as client:
        await client.ok("update_schedule", schedule_id="sched-0001", **arguments)
    assert user.questions == []


async def test_hosts_ask_where_the_server_cannot(connect: Connect) -> None:
    async with connect(toolsets="schedules") as client:
        tools = (await client.sdk.list_tools()).tools
    destructive = {
        tool.name for tool in tools if tool.annotations and tool.annotations.destructive_hint
    }
    assert destructive == {
        "devin_create_schedule",
        "devin_update_schedule",
        "devin_delete_schedule",
    }
