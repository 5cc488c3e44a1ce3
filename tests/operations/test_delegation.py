"""devin_delegate_task: a task is sent once with all its parts, whatever happens to the reply."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.keys import DevinApi
from tests.clock import ManualClock, advance_during
from tests.conftest import Connect
from tests.fake_session import POLL, SESSIONS, lose_sight
from tests.operations.delegations import session_bodies
from tests.operations.waiting.conversations import wait
from tests.upstream import (
    Upstream,
    answer,
)

pytestmark = pytest.mark.usefixtures("api")


async def test_session_that_vanishes_during_the_wait_is_not_called_working(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(
            client.ok("delegate_task", prompt="sandbox:forever", max_wait_s=45)
        )
        await upstream.wait_for("GET", POLL)
        await manual_clock.wait_for_sleepers(2)
        lose_sight(upstream, 9)
        # polls after 5, 10 and 20 seconds, with jitter
        result = await advance_during(manual_clock, waiting, 6.5, 12.5, 24.5, until_asleep=2)
    assert result["problem"] == "Devin does not know this id"
    assert result["session_id"] in upstream.organization.sessions
    assert "at work" not in result["next"]


async def test_delegate_sends_the_task_with_all_its_parts(
    connect: Connect, upstream: Upstream, files: Path, api: DevinApi
) -> None:
    (files / "log.txt").write_text("it crashed")
    async with connect(files_root=files) as client:
        url = (await client.ok("upload_attachment", content="x", name="Übersicht 1.csv"))["url"]
        delegated = await client.ok(
            "delegate_task",
            prompt="Fix the crash",
            title="Crash",
            repository="acme/shop-api",
            playbook="!fixtest",
            knowledge=["commit messages", "note-0002", "Commit messages"],
            files=["log.txt", url],
            tags=["mine"],
            max_acu_limit=5,
            structured_output_schema={"type": "object"},
        )
    (request,) = upstream.sent("create_session")
    body = request.json
    if api == "v1":
        text, empty, *lines = body["prompt"].rsplit("\n", 3)
        assert text == "Fix the crash\n\nRepository: acme/shop-api"
        assert empty == ""
        urls = [line.removeprefix('ATTACHMENT:"').removesuffix('"') for line in lines]
    else:
        assert (body["prompt"], body["repos"]) == ("Fix the crash", ["acme/shop-api"])
        urls = body["attachment_urls"]
    first, second = urls
    assert re.fullmatch("https://sandbox.invalid/attachments/[0-9a-f-]+/log.txt", first)
    assert second == url
    assert (body["title"], body["max_acu_limit"]) == ("Crash", 5)
    assert body["structured_output_schema"] == {"type": "object"}
    assert body["playbook_id"] == "playbook-0001"
    assert body["knowledge_ids"] == ["note-0001", "note-0002"]
    assert body["tags"] == ["mine", delegated["tag"]]


async def test_delegate_without_max_wait_s_returns_the_started_session(connect: Connect) -> None:
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="p")
    assert delegated["tag"].startswith("devin-mcp-")
    assert delegated["is_new_session"] is True
    assert delegated["phase"] == "starting"
    assert delegated["url"].endswith(delegated["session_id"].removeprefix("devin-"))
    assert "messages" not in delegated
    assert "devin_wait_for_sessions" in delegated["next"]


async def test_short_wait_ends_with_what_is_new_in_its_last_second(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """The regular polls come at once and after about five seconds; Devin asks after three."""
    async with connect(manual_clock=manual_clock) as client:
        delegating = client.ok("delegate_task", prompt="Fix the crash", max_wait_s=5)
        delegated = await advance_during(manual_clock, delegating, 3.9, 0.2, 1, until_asleep=2)
    assert delegated["phase"] == "waiting"
    assert delegated["messages"][0]["source"] == "devin"
    assert "timed_out" not in delegated or not delegated["timed_out"]


async def test_last_polls_of_many_waits_are_one(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:forever")
        waits = []
        for _ in range(5):
            wait_call = client.ok("wait_for_sessions", session_ids=[session_id], max_wait_s=4)
            waits.append(asyncio.ensure_future(wait_call))
            await manual_clock.wait_until_quiet()
            await manual_clock.advance(0.15)
        answers = await advance_during(manual_clock, asyncio.gather(*waits), *[0.1] * 50)
    assert [answer["timed_out"] for answer in answers] == [True] * 5
    polls = [request for request in upstream.requests if request.path.endswith("sessions")]
    polls += [request for request in upstream.requests if request.path.endswith(session_id)]
    assert len([poll for poll in polls if poll.method == "GET"]) == 2, "at the begin and the end"


async def test_delegate_with_max_wait_s_returns_the_first_question(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        delegating = client.ok("delegate_task", prompt="Fix the crash", max_wait_s=45)
        delegated = await advance_during(manual_clock, delegating, 6, 6, 6)
        assert delegated["phase"] == "waiting"
        assert [message["source"] for message in delegated["messages"]] == ["devin"]
        assert "devin_send_message" in delegated["next"]
        again = await wait(
            client,
            manual_clock,
            2,
            session_ids=[delegated["session_id"]],
            cursor=delegated["cursor"],
            max_wait_s=1,
        )
    assert "messages" not in again["sessions"][0]
    assert upstream.count("POST", SESSIONS) == 1


@pytest.mark.parametrize("playbook", ["playbook-0001", "!FixTest", " fix a failing TEST "])
async def test_playbook_is_found_by_id_macro_or_title(
    connect: Connect, upstream: Upstream, playbook: str
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", playbook=playbook)
    assert session_bodies(upstream)[0]["playbook_id"] == "playbook-0001"


async def test_unlisted_playbook_is_read_by_its_id(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation(
        "get_playbook", answer(200, {"playbook_id": "playbook-mine", "title": "Mine"})
    )
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", playbook="playbook-mine")
    assert session_bodies(upstream)[0]["playbook_id"] == "playbook-mine"


async def test_playbook_title_of_one_word_is_not_taken_for_an_id(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("get_playbook", answer(422, {"detail": "no such id"}))
    async with connect() as client:
        created = await client.ok("create_playbook", title="Deploy", body="b")
        await client.ok("delegate_task", prompt="p", playbook="Deploy")
    assert session_bodies(upstream)[0]["playbook_id"] == created["playbook_id"]


async def test_ambiguous_playbook_title_is_refused(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        await client.ok("create_playbook", title="Triage an issue", body="b")
        text = await client.error("delegate_task", prompt="p", playbook="triage an issue")
    assert "More than one playbook" in text
    assert "(playbook-0004)" in text
    assert session_bodies(upstream) == []


async def test_absent_knowledge_means_all_and_empty_means_none(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="all")
        await client.ok("delegate_task", prompt="none", knowledge=[])
    assert [body.get("knowledge_ids") for body in session_bodies(upstream)] == [None, []]
    assert upstream.sent("list_knowledge") == []


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (
            {"playbook": "!fixtst"},
            (
                r'None of the 6 playbooks .*"Fix a failing test" \(playbook-0001\)'
                r".*devin_list_playbooks"
            ),
        ),
        ({"playbook": "review"}, r'Perhaps .*"Review a pull request" \(playbook-0005\)'),
        (
            {"knowledge": ["style"]},
            r'"Python style" \(note-0002\), "TypeScript style" \(note-0003\)',
        ),
        ({"files": ["good.txt", "missing.txt"]}, "no file that can be read"),
        ({"files": ["../secret.txt"]}, "outside the allowed directories"),
        ({"structured_output_schema": {"type": "nonsense"}}, "not valid JSON Schema"),
        ({"tags": ["devin-mcp-mine"]}, "this server's own"),
        ({"tags": [f"t{number}" for number in range(50)]}, "tags"),
        ({"repository": "shop"}, "repository"),
        ({"max_acu_limit": 9}, "--max-acu"),
    ],
)
async def test_invalid_argument_is_refused_before_anything_is_sent(
    connect: Connect, upstream: Upstream, files: Path, argument: dict[str, Any], says: str
) -> None:
    (files / "good.txt").write_text("good")
    (files.parent / "secret.txt").write_text("secret")
    async with connect(files_root=files, max_acu=5) as client:
        text = await client.error("delegate_task", **{"prompt": "p", **argument})
    assert re.search(says, text)
    assert upstream.count("POST") == 0


async def test_delegate_without_time_left_starts_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(deadline=13.9) as client:
        text = await client.error("delegate_task", prompt="p")
    assert "Nothing was changed" in text
    assert session_bodies(upstream) == []


@pytest.mark.parametrize(
    ("prompt", "says"),
    [("sandbox:quota", "ACUs"), ("sandbox:session-limit", "devin_terminate_session")],
)
async def test_refused_start_is_reported_as_refused(
    connect: Connect, upstream: Upstream, prompt: str, says: str
) -> None:
    async with connect() as client:
        text = await client.error("delegate_task", prompt=prompt, idempotency_key="k")
    assert says in text
    assert session_bodies(upstream) == []


async def test_failed_wait_still_returns_the_session_id(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("GET", POLL, *[answer(403, {"detail": "no"})] * 5)
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="p", max_wait_s=20)
    assert delegated["session_id"] in upstream.organization.sessions
