"""Whole stories of somebody who delegates, with a driven clock: what happens between the first call and the result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.types import CallToolResult

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, Era, ToolClient
from tests.upstream import Upstream, answer, lost, slow

STEPS = (8, 8, 8, 8, 8)


def devins(result: dict[str, Any], place: int = 0) -> list[str]:
    return [
        one["message"]
        for one in result["sessions"][place].get("messages", [])
        if one["type"] == "devin_message"
    ]


async def test_a_task_with_a_file_and_a_playbook_from_the_first_word_to_the_pull_request(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, files: Path, era: Era
) -> None:
    (files / "failure.txt").write_text("assert 200 == 422")
    async with connect(era=era, manual_clock=manual_clock, files_root=files) as client:
        task = {
            "prompt": "Mend it",
            "playbook": "Fix a failing test",
            "files": ["failure.txt"],
            "idempotency_key": "mend",
        }
        asked = await advance_during(
            manual_clock, client.ok("delegate_task", **task, max_wait_s=45), *STEPS
        )
        assert "I have read the code and failure.txt" in devins(asked)[0]
        words = {"session_id": asked["session_id"], "message": "strict", "max_wait_s": 45}
        done = await advance_during(
            manual_clock, client.ok("send_message", **words), *STEPS, until_asleep=2
        )
        assert done["sessions"][0]["pull_requests"][0]["url"].endswith("/3")
        assert "Take the pull request" in done["next"]
    assert upstream.count("POST", "/v1/sessions") == 1


async def test_sixteen_at_once_each_asked_and_answered_once(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.sandbox.parallel = upstream.organization.parallel = 16
    async with connect(manual_clock=manual_clock) as client:
        made = await asyncio.gather(
            *(
                client.ok("delegate_task", prompt=f"part {n}", idempotency_key=f"part {n}")
                for n in range(16)
            )
        )
        ids = [one["session_id"] for one in made]
        assert len(set(ids)) == 16
        asked = await advance_during(
            manual_clock, client.ok("wait_for_sessions", session_ids=ids, until="all"), *STEPS
        )
        assert [len(devins(asked, place)) for place in range(16)] == [1] * 16
        await asyncio.gather(
            *(client.ok("send_message", session_id=one, message="strict") for one in ids)
        )
        wait = client.ok("wait_for_sessions", session_ids=ids, until="all", cursor=asked["cursor"])
        done = await advance_during(manual_clock, wait, *STEPS)
    assert [devins(done, place)[0][:4] for place in range(16)] == ["Done"] * 16
    assert [len(devins(done, place)) for place in range(16)] == [1] * 16
    assert done["next"] == "All are over. Take what they delivered."


async def test_a_lost_reply_and_a_restart_between_two_waits_start_one_session(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", "/v1/sessions", lost)
    async with connect(manual_clock=manual_clock) as client:
        handing = client.ok("delegate_task", prompt="p", idempotency_key="k", max_wait_s=20)
        asked = await advance_during(manual_clock, handing, 1, 8, 8, 8)
        assert "reply was lost" in asked["remark"]
    async with connect(manual_clock=manual_clock) as client:
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        assert again["session_id"] == asked["session_id"]
        await client.ok("send_message", session_id=again["session_id"], message="strict")
        wait = client.ok(
            "wait_for_sessions", session_ids=[again["session_id"]], cursor=asked["cursor"]
        )
        done = await advance_during(manual_clock, wait, *STEPS)
    assert devins(done) == [text for text in devins(done) if text.startswith("Done")]
    assert len(upstream.organization.sessions) == 1


async def test_a_message_whose_reply_is_lost_is_said_once_and_the_answer_is_found(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        asked = await advance_during(
            manual_clock, client.ok("delegate_task", prompt="p", max_wait_s=45), *STEPS
        )
        upstream.fail("POST", ".*/message", lost)
        text = await client.error(
            "send_message", session_id=asked["session_id"], message="strict", max_wait_s=45
        )
        assert "Look with devin_get_session whether the message arrived" in text
        wait = client.ok(
            "wait_for_sessions", session_ids=[asked["session_id"]], cursor=asked["cursor"]
        )
        done = await advance_during(manual_clock, wait, *STEPS)
    assert devins(done)[0].startswith("Done")
    assert upstream.count("POST", ".*/message") == 1


async def test_a_quota_that_runs_out_is_accepted_first_and_refused_later(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        waiting = await advance_during(
            manual_clock,
            client.ok("delegate_task", prompt="sandbox:never-starts", max_wait_s=20),
            8,
            8,
            8,
        )
        assert (waiting["timed_out"], waiting["phase"]) == (True, "starting")
        assert "out of ACUs" in waiting["next"]
        text = await client.error("delegate_task", prompt="sandbox:quota")
    assert "Billing" in text
    assert len(upstream.organization.sessions) == 1


async def test_a_full_house_is_emptied_and_then_takes_the_task(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.sandbox.parallel = upstream.organization.parallel = 1
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="sandbox:forever")
        text = await client.error("delegate_task", prompt="p", idempotency_key="k")
        assert "devin_terminate_session" in text
        await client.ok("terminate_session", session_id=first["session_id"])
        made = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert made["is_new_session"] is True


async def test_who_goes_away_while_waiting_leaves_the_session_in_the_log(
    connect: Connect,
    upstream: Upstream,
    manual_clock: ManualClock,
    logs: Callable[[], list[dict[str, Any]]],
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        handing = asyncio.ensure_future(
            client("delegate_task", prompt="sandbox:forever", max_wait_s=45)
        )
        await manual_clock.asleep(2)
        handing.cancel()
        await manual_clock.asleep(0)
    (session_id,) = upstream.organization.sessions
    (line,) = [one for one in logs() if one.get("tool") == "devin_delegate_task"]
    assert (line["outcome"], line["devin_session_id"]) == ("cancelled", session_id)


async def test_who_goes_away_before_it_is_sent_starts_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", "/v1/playbooks", slow(gate))
    async with connect() as client:
        handing = asyncio.ensure_future(
            client("delegate_task", prompt="p", playbook="!fixtest", idempotency_key="k")
        )
        await upstream.until("GET", "/v1/playbooks")
        handing.cancel()
        await asyncio.wait({handing})
        gate.set()
        assert (await client.ok("delegate_task", prompt="p", idempotency_key="k"))[
            "is_new_session"
        ] is True
    assert len(upstream.organization.sessions) == 1


@pytest.mark.parametrize("tool", ["delegate_task", "send_message", "wait_for_sessions"])
async def test_a_client_that_gives_up_after_sixty_seconds_never_does(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, tool: str
) -> None:
    """The longest wait, behind requests that take their time, is still over within the 50 seconds of a call."""

    async def slowly(exchange: Any) -> None:
        manual_clock.passed += 15
        done = await exchange.forward(exchange.seen)
        await exchange.reply(done.status_code, done.content, {"content-type": "application/json"})

    async with connect(manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="sandbox:forever"))["session_id"]
        manual_clock.passed += 2
        upstream.sandbox.clock.advance(2)
        upstream.fail("POST", ".*", slowly)
        arguments: dict[str, dict[str, Any]] = {
            "delegate_task": {"prompt": "sandbox:forever"},
            "send_message": {"session_id": one, "message": "m"},
            "wait_for_sessions": {"session_ids": [one]},
        }
        started = manual_clock.passed
        got = await advance_during(
            manual_clock, client.ok(tool, **arguments[tool], max_wait_s=50), *[5] * 12
        )
    assert got["timed_out"] is True
    assert 40 <= manual_clock.passed - started <= 55  # the last step of five may end behind it


async def test_the_same_key_over_and_over_by_a_nervous_assistant(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """Every other reply is lost, and the caller repeats what failed until it works."""

    async def once(client: ToolClient, n: int) -> str:
        while True:
            result = await client("delegate_task", prompt=f"part {n}", idempotency_key=f"part {n}")
            if not result.is_error and result.structured_content is not None:
                return str(result.structured_content["session_id"])

    async def restless() -> None:
        while True:
            await manual_clock.advance(1, until_asleep=1)

    upstream.sandbox.parallel = upstream.organization.parallel = 50
    upstream.fail("POST", "/v1/sessions", *[lost, answer(502)] * 20)
    upstream.fail("GET", "/v1/sessions", *[answer(503), answer(200, {"sessions": []})] * 20)
    async with connect(manual_clock=manual_clock) as client:
        driving = asyncio.ensure_future(restless())
        ids = await asyncio.gather(*(once(client, n) for n in range(8) for _ in range(3)))
        driving.cancel()
        await asyncio.wait({driving})
    assert len(set(ids)) == 8 == len(upstream.organization.sessions)


async def test_a_client_that_ignores_progress_gets_everything_all_the_same(
    connect: Connect, manual_clock: ManualClock, era: Era
) -> None:
    """Progress is a courtesy: one client never asks for it, another breaks on every notice, and both are told the whole story."""

    async def breaks(progress: float, total: float | None, message: str | None) -> None:
        raise RuntimeError("no progress, please")

    stories = []
    for callback in (None, breaks):
        async with connect(era=era, manual_clock=manual_clock) as client:
            one = (await client.ok("create_session", prompt="Mend it"))["session_id"]
            given = {"session_ids": [one]}
            work = client.sdk.call_tool(
                "devin_wait_for_sessions", given, progress_callback=callback
            )
            asked = await advance_during(manual_clock, work, 8, 8)
            assert isinstance(asked, CallToolResult)
            assert asked.structured_content is not None
            stories.append(
                [
                    message["message"]
                    for message in asked.structured_content["sessions"][0]["messages"]
                ]
            )
    assert [text[:6] for text in stories[0]] == ["Mend i", "I have"]
    assert stories[1] == stories[0]
