"""Whole delegations with a driven clock, from the first call to the result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.keys import DevinApi
from tests.clock import ManualClock, advance_during
from tests.conftest import Connect
from tests.fake_session import MESSAGE, SESSIONS
from tests.operations.waiting.conversations import devin_messages_of, skip, wait
from tests.upstream import Exchange, Upstream, delay_reply, lose_reply

pytestmark = pytest.mark.usefixtures("api")

STEPS = (8, 8, 8, 8, 8)


async def test_task_with_file_and_playbook_ends_in_a_pull_request(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, files: Path
) -> None:
    (files / "failure.txt").write_text("assert 200 == 422")
    async with connect(manual_clock=manual_clock, files_root=files) as client:
        task = {
            "prompt": "Fix it",
            "playbook": "Fix a failing test",
            "files": ["failure.txt"],
            "idempotency_key": "fix",
        }
        delegating = client.ok("delegate_task", **task, max_wait_s=45)
        question = await advance_during(manual_clock, delegating, *STEPS)
        assert "I have read the code and failure.txt" in devin_messages_of(question)[0]
        replying = client.ok(
            "send_message", session_id=question["session_id"], message="strict", max_wait_s=45
        )
        result = await advance_during(manual_clock, replying, *STEPS, until_asleep=2)
        assert result["pull_requests"][0]["url"].endswith("/3")
        assert "Take the pull request" in result["next"]
    assert upstream.count("POST", SESSIONS) == 1


async def test_sixteen_parallel_tasks_are_asked_and_answered_once_each(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, api: DevinApi
) -> None:
    upstream.sandbox.parallel = upstream.organization.parallel = 16
    async with connect(manual_clock=manual_clock) as client:
        started = await asyncio.gather(
            *(
                client.ok(
                    "delegate_task", prompt=f"part {number}", idempotency_key=f"part {number}"
                )
                for number in range(16)
            )
        )
        ids = [session["session_id"] for session in started]
        assert len(set(ids)) == 16
        asleep = len(ids) + 1
        question = await wait(
            client, manual_clock, *STEPS, until_asleep=asleep, session_ids=ids, until="all"
        )
        assert [len(devin_messages_of(question, index)) for index in range(16)] == [1] * 16
        await asyncio.gather(
            *(
                client.ok("send_message", session_id=session_id, message="strict")
                for session_id in ids
            )
        )
        arguments = {"session_ids": ids, "until": "all", "cursor": question["cursor"]}
        # On v1 a finished session is over, so its poller ends and does not sleep.
        asleep = {"v1": 1, "v3": asleep}[api]
        result = await wait(client, manual_clock, *STEPS, until_asleep=asleep, **arguments)
    assert [devin_messages_of(result, index)[0][:4] for index in range(16)] == ["Done"] * 16
    assert [len(devin_messages_of(result, index)) for index in range(16)] == [1] * 16
    starts = {"v1": "All are over. Take what they", "v3": "None is at work."}
    assert result["next"].startswith(starts[api])


async def test_lost_reply_and_restart_start_one_session(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", SESSIONS, lose_reply)
    async with connect(manual_clock=manual_clock) as client:
        delegating = client.ok("delegate_task", prompt="p", idempotency_key="k", max_wait_s=20)
        question = await advance_during(manual_clock, delegating, 1, 8, 8, 8)
        assert "reply was lost" in question["remark"]
    async with connect(manual_clock=manual_clock) as client:
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        assert again["session_id"] == question["session_id"]
        await client.ok("send_message", session_id=again["session_id"], message="strict")
        arguments = {"session_ids": [again["session_id"]], "cursor": question["cursor"]}
        result = await wait(client, manual_clock, *STEPS, **arguments)
    (final_message,) = devin_messages_of(result)
    assert final_message.startswith("Done")
    assert len(upstream.organization.sessions) == 1


async def test_message_with_lost_reply_is_answered_without_sending_it_again(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        delegating = client.ok("delegate_task", prompt="p", max_wait_s=45)
        question = await advance_during(manual_clock, delegating, *STEPS)
        upstream.fail("POST", MESSAGE, lose_reply)
        text = await client.error(
            "send_message", session_id=question["session_id"], message="strict", max_wait_s=45
        )
        assert "Look with devin_get_session whether the message arrived" in text
        arguments = {"session_ids": [question["session_id"]], "cursor": question["cursor"]}
        result = await wait(client, manual_clock, *STEPS, **arguments)
    assert devin_messages_of(result)[0].startswith("Done")
    assert upstream.count("POST", MESSAGE) == 1


async def test_exhausted_quota_is_named_while_starting_and_then_refused(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        delegating = client.ok("delegate_task", prompt="sandbox:never-starts", max_wait_s=20)
        result = await advance_during(manual_clock, delegating, 8, 8, 8)
        assert (result["timed_out"], result["phase"]) == (True, "starting")
        assert "out of ACUs" in result["next"]
        text = await client.error("delegate_task", prompt="sandbox:quota")
    assert "Billing" in text
    assert len(upstream.organization.sessions) == 1


async def test_task_is_accepted_after_another_session_is_terminated(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.sandbox.parallel = upstream.organization.parallel = 1
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="sandbox:forever")
        text = await client.error("delegate_task", prompt="p", idempotency_key="k")
        assert "devin_terminate_session" in text
        await client.ok("terminate_session", session_id=first["session_id"])
        second = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert second["is_new_session"] is True


async def test_cancelled_wait_leaves_the_session_id_in_the_log(
    connect: Connect,
    upstream: Upstream,
    manual_clock: ManualClock,
    logs: Callable[[], list[dict[str, Any]]],
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        delegating = asyncio.ensure_future(
            client("delegate_task", prompt="sandbox:forever", max_wait_s=45)
        )
        await manual_clock.wait_for_sleepers(2)
        delegating.cancel()
        await manual_clock.wait_for_sleepers(0)
    (session_id,) = upstream.organization.sessions
    (call,) = [line for line in logs() if line.get("tool") == "devin_delegate_task"]
    assert (call["outcome"], call["devin_session_id"]) == ("cancelled", session_id)


async def test_call_cancelled_before_sending_starts_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.fail_operation("list_playbooks", delay_reply(gate))
    async with connect() as client:
        delegating = asyncio.ensure_future(
            client("delegate_task", prompt="p", playbook="!fixtest", idempotency_key="k")
        )
        await upstream.wait_for("GET", "/v[13]/.*playbooks")
        delegating.cancel()
        await asyncio.wait({delegating})
        gate.set()
        second = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert second["is_new_session"] is True
    assert len(upstream.organization.sessions) == 1


@pytest.mark.parametrize("tool", ["delegate_task", "send_message", "wait_for_sessions"])
async def test_longest_wait_ends_within_the_deadline_of_the_call(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, tool: str
) -> None:
    """Also when the requests before it are slow: many clients give up after 60 seconds."""

    async def answer_slowly(exchange: Exchange) -> None:
        manual_clock.passed += 15
        response = await exchange.forward(exchange.request)
        await exchange.reply(
            response.status_code, response.content, {"content-type": "application/json"}
        )

    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:forever")
        skip(manual_clock, 2)
        upstream.fail("POST", ".*", answer_slowly)
        arguments: dict[str, dict[str, Any]] = {
            "delegate_task": {"prompt": "sandbox:forever"},
            "send_message": {"session_id": session_id, "message": "m"},
            "wait_for_sessions": {"session_ids": [session_id]},
        }
        started_at = manual_clock.passed
        waiting = client.ok(tool, **arguments[tool], max_wait_s=50)
        result = await advance_during(manual_clock, waiting, *[5] * 12)
    assert result["timed_out"] is True
    # the clock moves in steps of 5 seconds, so the end may be seen up to one step late
    assert 40 <= manual_clock.passed - started_at <= 55
