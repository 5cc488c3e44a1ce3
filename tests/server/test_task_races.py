"""Tasks while a message is on its way: Devin shows an old state, is away, or the client leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from devin_mcp.operations.waiting.deferred import DeferredWait
from devin_mcp.operations.waiting.pollers import MAX_POLLERS_PER_KEY
from tests.clock import ManualClock, advance_during
from tests.conftest import settings_for
from tests.fake_session import MESSAGE, FakeSession, is_v3
from tests.http_client import start_http_server
from tests.server.task_client import TaskClient
from tests.server.test_task_questions import asked_task
from tests.upstream import Exchange, Fault, Upstream, answer, never_answer

pytestmark = pytest.mark.usefixtures("api")


@pytest.fixture
async def client(upstream: Upstream, manual_clock: ManualClock) -> AsyncIterator[TaskClient]:
    async with start_http_server(settings_for(upstream), manual_clock) as url:
        yield TaskClient(url, forms=True)


def accepted(session: FakeSession, *, is_shown: bool) -> Fault:
    """Take a message, and go on showing the state from before it (v1.md §3.7)."""

    async def fault(exchange: Exchange) -> None:
        if is_shown:
            session.user_says(exchange.request.json["message"])
        await answer(200, session.v3_row() if is_v3(exchange) else None)(exchange)

    return fault


@pytest.mark.parametrize("is_shown", [True, False])
async def test_question_that_was_answered_does_not_end_the_task(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock, *, is_shown: bool
) -> None:
    session = FakeSession()
    upstream.fail("POST", MESSAGE, accepted(session, is_shown=is_shown))
    session.at(upstream)
    task, task_id = await asked_task(client, session, manual_clock, "Strict or lenient?")
    (key,) = task["inputRequests"]
    await client.answer(task_id, key, "accept", answer="Strict")
    assert (await client.get(task_id))["status"] == "working"
    assert upstream.count("POST", MESSAGE) == 1


async def test_question_that_a_message_answered_does_not_end_its_task(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """Although the caller's cursor is from before the question."""
    session = FakeSession()
    upstream.fail("POST", MESSAGE, accepted(session, is_shown=False))
    session.at(upstream)
    waits = replace(client, capabilities=())
    waiting = waits.call("wait_for_sessions", session_ids=["devin-1"], max_wait_s=1)
    result = await advance_during(manual_clock, waiting, 1, 1)
    cursor = result["structuredContent"]["cursor"]
    session.devin_says("Strict or lenient?")
    session.status_enum = "blocked"
    task = await client.call(
        "send_message", session_id="devin-1", message="Strict", cursor=cursor, max_wait_s=30
    )
    assert (await client.get(task["taskId"]))["status"] == "working"


async def test_answer_is_sent_once_although_the_client_leaves(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", MESSAGE, answer(429, {"detail": "slow"}, retry_after="5"))
    session = FakeSession().at(upstream)
    task, task_id = await asked_task(client, session, manual_clock, "Strict or lenient?")
    (key,) = task["inputRequests"]
    answering = asyncio.ensure_future(client.answer(task_id, key, "accept", answer="Strict"))
    await manual_clock.wait_for_sleepers(3)  # poller, its end, and the pause after the 429
    answering.cancel()
    await manual_clock.wait_until_quiet()
    await manual_clock.advance(6)
    await manual_clock.wait_until_quiet()
    assert session.messages[-1]["message"] == "Strict"
    await client.answer(task_id, key, "accept", answer="Strict")
    assert [row["message"] for row in session.messages].count("Strict") == 1


@pytest.mark.parametrize("status", [503, 0])
async def test_answer_is_refused_while_devin_is_away(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock, status: int
) -> None:
    """An acknowledgement would lose it. Status 0: Devin does not answer in time."""
    session = FakeSession().at(upstream)
    task, task_id = await asked_task(client, session, manual_clock, "Strict or lenient?")
    (key,) = task["inputRequests"]
    await manual_clock.advance(41)  # the poller has ended
    await manual_clock.wait_until_quiet()
    upstream.clear_faults()
    upstream.fail("GET", ".*", *[answer(status) if status else never_answer] * 40)
    params = {"taskId": task_id, "inputResponses": {key: accept("Strict")}}
    reply = await advance_during(manual_clock, client.request("tasks/update", params), 3, 3)
    assert "Nothing was sent" in reply["error"]["message"]
    assert upstream.count("POST", MESSAGE) == 0


def accept(words: str) -> dict[str, Any]:
    return {"action": "accept", "content": {"answer": words}}


@pytest.mark.parametrize("words", ["\ud800 yes", "x" * 30_001])
async def test_words_that_no_message_may_have_are_refused(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock, words: str
) -> None:
    session = FakeSession().at(upstream)
    task, task_id = await asked_task(client, session, manual_clock, "Strict or lenient?")
    (key,) = task["inputRequests"]
    params = {"taskId": task_id, "inputResponses": {key: accept(words)}}
    reply = await client.request("tasks/update", params)
    assert "Nothing was sent" in reply["error"]["message"]
    assert (await client.get(task_id))["status"] == "input_required"
    assert upstream.count("POST", MESSAGE) == 0


async def test_task_goes_on_while_many_sessions_are_followed(
    client: TaskClient, upstream: Upstream
) -> None:
    """A session that a client looked at a moment ago makes room for one that it looks at now."""
    now = int(time.time())
    ids = [f"devin-{number:032x}" for number in range(MAX_POLLERS_PER_KEY + 1)]
    for session_id in ids:
        FakeSession(session_id).at(upstream, times=50)
    for start in range(0, len(ids), 10):
        wait = DeferredWait(tuple(ids[start : start + 10]), began_at=now)
        assert (await client.get(wait.id))["status"] == "working"
