"""Devin's question in a form: the person answers it, or the model gets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.clock import ManualClock
from tests.conftest import settings_for
from tests.fake_session import MESSAGE, FakeSession
from tests.http_client import start_http_server
from tests.server.task_client import TaskClient
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.usefixtures("api")


@pytest.fixture
async def client(upstream: Upstream, manual_clock: ManualClock) -> AsyncIterator[TaskClient]:
    async with start_http_server(settings_for(upstream), manual_clock) as url:
        yield TaskClient(url, forms=True)


@pytest.fixture
def session(upstream: Upstream) -> FakeSession:
    return FakeSession(fields={"title": "Fix login"}).at(upstream)


async def asked_task(
    client: TaskClient, session: FakeSession, manual_clock: ManualClock, question: str
) -> tuple[dict[str, Any], str]:
    """A task of a session that has asked, and its id."""
    task = await client.call("wait_for_sessions", session_ids=[session.session_id])
    session.devin_says(question)
    session.status_enum = "blocked"
    await manual_clock.advance(8, until_asleep=1)
    return await client.get(task["taskId"]), task["taskId"]


async def test_question_is_asked_in_a_form_and_its_answer_is_sent_once(
    client: TaskClient, upstream: Upstream, session: FakeSession, manual_clock: ManualClock
) -> None:
    task, task_id = await asked_task(client, session, manual_clock, "Strict or lenient?")
    assert task["status"] == "input_required"
    ((key, request),) = task["inputRequests"].items()
    assert request["method"] == "elicitation/create"
    assert request["params"]["message"] == 'Devin asks in "Fix login": "Strict or lenient?"'
    assert list(request["params"]["requestedSchema"]["properties"]) == ["answer"]
    answers = [client.answer(task_id, key, "accept", answer="Strict, please") for _ in range(3)]
    await asyncio.gather(*answers)
    await client.answer(task_id, key, "accept", answer="Strict, please")  # repeated later
    assert upstream.count("POST", MESSAGE) == 1
    assert session.messages[-1]["message"] == "Strict, please"
    assert (await client.get(task_id))["status"] == "working"
    session.devin_says("Done.")
    session.status_enum = "finished"
    await manual_clock.advance(8, until_asleep=1)
    await manual_clock.advance(20, until_asleep=1)
    completed = await client.get(task_id)
    assert completed["status"] == "completed"
    assert "Done." in completed["result"]["content"][0]["text"]


@pytest.mark.parametrize(
    ("action", "content"),
    [("decline", {}), ("cancel", {}), ("accept", {}), ("accept", {"answer": " "})],
)
async def test_question_that_nobody_answers_goes_to_the_model(
    client: TaskClient,
    upstream: Upstream,
    session: FakeSession,
    manual_clock: ManualClock,
    action: str,
    content: dict[str, str],
) -> None:
    task, task_id = await asked_task(client, session, manual_clock, "Strict or lenient?")
    (key,) = task["inputRequests"]
    await client.answer(task_id, key, action, **content)
    completed = await client.get(task_id)
    assert completed["status"] == "completed"
    assert "Strict or lenient?" in completed["result"]["content"][0]["text"]
    assert upstream.count("POST", MESSAGE) == 0


async def test_answer_to_another_question_is_ignored(
    client: TaskClient, upstream: Upstream, session: FakeSession, manual_clock: ManualClock
) -> None:
    _, task_id = await asked_task(client, session, manual_clock, "Strict or lenient?")
    await client.answer(task_id, "0" * 16, "accept", answer="Strict")
    assert (await client.get(task_id))["status"] == "input_required"
    assert upstream.count("POST", MESSAGE) == 0


async def test_answer_that_was_not_sent_can_be_given_again(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", MESSAGE, answer(422, {"detail": "no"}))
    session = FakeSession().at(upstream)
    task, task_id = await asked_task(client, session, manual_clock, "Strict or lenient?")
    (key,) = task["inputRequests"]
    responses = {key: {"action": "accept", "content": {"answer": "Strict"}}}
    failed = await client.request("tasks/update", {"taskId": task_id, "inputResponses": responses})
    assert "error" in failed
    assert (await client.get(task_id))["status"] == "input_required"
    await client.answer(task_id, key, "accept", answer="Strict")
    assert session.messages[-1]["message"] == "Strict"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Which one? (a or b?)", "input_required"),
        ("**Which one?**", "input_required"),
        ("Why did it fail? I found out and mended it.", "completed"),
        ("Done: https://example.com/pull/1", "completed"),
    ],
)
async def test_only_what_ends_with_a_question_is_asked(
    client: TaskClient, session: FakeSession, manual_clock: ManualClock, text: str, status: str
) -> None:
    task, _ = await asked_task(client, session, manual_clock, text)
    assert task["status"] == status


async def test_long_question_is_one_short_line(
    client: TaskClient, session: FakeSession, manual_clock: ManualClock
) -> None:
    text = "\u202eFirst\nsecond " * 3_000 + "?"
    task, _ = await asked_task(client, session, manual_clock, text)
    (request,) = task["inputRequests"].values()
    message = request["params"]["message"]
    assert message.isprintable()
    assert len(message) < 12_000


@pytest.mark.parametrize(
    ("setting", "forms"),
    [({"questions": "model"}, True), ({"read_only": "true"}, True), ({}, False)],
)
async def test_model_gets_the_question_where_no_person_is_asked(
    upstream: Upstream,
    session: FakeSession,
    manual_clock: ManualClock,
    setting: dict[str, str],
    forms: bool,
) -> None:
    async with start_http_server(settings_for(upstream, **setting), manual_clock) as url:
        client = TaskClient(url, forms=forms)
        task, _ = await asked_task(client, session, manual_clock, "Strict or lenient?")
    assert task["status"] == "completed"
    assert "Strict or lenient?" in task["result"]["content"][0]["text"]
