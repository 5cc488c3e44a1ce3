"""A schedule spends with nobody asked: a person is asked before it exists, or spends otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect, Era
from tests.server.fake_user import FakeUser
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 has no schedules.")

NIGHTLY = {"name": "Nightly", "prompt": "Run all tests", "frequency": "0 2 * * *"}
SPENDS = (
    "Nobody is asked before a run, and it costs ACUs; --max-acu and --max-sessions do not limit "
    "what Devin starts by itself."
)


async def test_creating_is_asked_about_with_its_next_runs(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    user = FakeUser()
    async with connect(era=era, ask=user, toolsets="schedules") as client:
        created = await client.ok("create_schedule", **NIGHTLY)
    (question,) = user.questions
    runs = ", ".join(created["next_runs"])
    assert question == (
        f'Create the schedule "Nightly"? It runs at 02:00 every day (UTC), next on {runs}, without '
        f'a playbook: "Run all tests". {SPENDS}'
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


WEEKLY = "at 06:00 on Monday (UTC), next on 20"
TASK = '"Upgrade one outdated dependency'


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            {"frequency": "*/5 * * * *"},
            ["every fifth minute of every hour (UTC), next on 20", TASK],
        ),
        ({"scheduled_at": "2090-01-01T00:00Z"}, ["once at 2090-01-01T00:00:00Z, with", TASK]),
        ({"prompt": "Rewrite everything"}, [WEEKLY, '"Rewrite everything"']),
        (
            {"playbook_id": "playbook-0001"},
            [WEEKLY, 'with the playbook "Fix a failing test"', TASK],
        ),
        ({"clear": ["playbook_id"]}, [WEEKLY, ", without a playbook: ", TASK]),
        ({"enabled": True}, [WEEKLY, 'with the playbook "Upgrade a dependency"', TASK]),
    ],
)
async def test_change_of_what_it_spends_is_asked_about(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], parts: list[str]
) -> None:
    user = FakeUser("decline")
    async with connect(ask=user, toolsets="schedules") as client:
        await client.error("update_schedule", schedule_id="sched-0001", **arguments)
    (question,) = user.questions
    assert question.startswith('Change the schedule "Weekly dependency upgrade" (sched-0001)? It')
    assert question.endswith(SPENDS)
    assert all(part in question for part in parts), question
    assert upstream.sent("update_schedule") == []


async def test_resuming_shows_what_it_would_do(connect: Connect, upstream: Upstream) -> None:
    user = FakeUser("decline")
    async with connect(ask=user, toolsets="schedules") as client:
        await client.error("update_schedule", schedule_id="sched-0002", enabled=True)
    (question,) = user.questions
    assert "at 02:30 on Monday through Friday (UTC), next on 20" in question
    assert "ten times" in question
    assert upstream.sent("update_schedule") == []


async def test_question_is_asked_although_the_schedule_cannot_be_read(
    connect: Connect, upstream: Upstream
) -> None:
    user = FakeUser("decline")
    upstream.fail_operation("get_schedule", *[answer(500)] * 9)
    async with connect(ask=user, toolsets="schedules") as client:
        await client.error("update_schedule", schedule_id="sched-0002", enabled=True)
    assert user.questions == [f"Change the schedule sched-0002? {SPENDS}"]


ON, OFF = "sched-0001", "sched-0002"


@pytest.mark.parametrize("confirm", ["auto", "always"])
@pytest.mark.parametrize(
    ("schedule_id", "arguments"),
    [
        (ON, {"enabled": False}),
        (ON, {"enabled": False, "prompt": "p"}),
        (ON, {"name": "n"}),
        (ON, {"tags": ["t"]}),
        (ON, {"clear": ["tags"]}),
        (OFF, {"prompt": "p", "frequency": "* * * * *"}),
    ],
)
@pytest.mark.parametrize("can_ask", [True, False], ids=["asks", "mute"])
async def test_what_spends_nothing_needs_no_question(
    connect: Connect, confirm: str, schedule_id: str, arguments: dict[str, Any], *, can_ask: bool
) -> None:
    """Least of all may pausing be refused because nobody can be asked."""
    user = FakeUser("decline")
    ask = user if can_ask else None
    async with connect(ask=ask, confirm=confirm, toolsets="schedules") as client:
        await client.ok("update_schedule", schedule_id=schedule_id, **arguments)
    assert user.questions == []


@pytest.mark.parametrize("tool", ["create_schedule", "update_schedule"])
@pytest.mark.parametrize("can_ask", [True, False], ids=["asks", "mute"])
async def test_unknown_playbook_is_refused_before_anything_is_sent(
    connect: Connect, upstream: Upstream, tool: str, *, can_ask: bool
) -> None:
    user = FakeUser()
    arguments = NIGHTLY if tool == "create_schedule" else {"schedule_id": ON}
    async with connect(ask=user if can_ask else None, toolsets="schedules") as client:
        text = await client.error(tool, playbook_id="playbook-no", **arguments)
    assert "does not know that id" in text
    assert user.questions == []
    assert upstream.sent(tool) == []


async def test_wrong_change_is_refused_before_anybody_is_asked(
    connect: Connect, upstream: Upstream
) -> None:
    user = FakeUser()
    async with connect(ask=user, toolsets="schedules") as client:
        text = await client.error(
            "update_schedule", schedule_id=ON, playbook_id="playbook-1", clear=["playbook_id"]
        )
    assert "playbook_id has a value and is in clear" in text
    assert user.questions == []
    assert upstream.requests == []


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
