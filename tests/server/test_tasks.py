"""Tasks (SEP-2663): a wait that the client keeps. What completes is what the tool would answer."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from devin_mcp.operations.waiting.deferred import LIFETIME_SECONDS, MAX_ID_CHARS, DeferredWait
from tests.clock import ManualClock, advance_during
from tests.conftest import Logs, settings_for
from tests.fake_session import MESSAGE, POLL, SESSION, FakeSession, path_of
from tests.http_client import start_http_server
from tests.server.task_client import TaskClient
from tests.upstream import KEY, Upstream, answer

pytestmark = pytest.mark.usefixtures("api")

SENT: dict[str, Any] = {"session_id": "devin-1", "delivered": True}
WRONG_FIELDS: list[dict[str, Any]] = [
    {"session_id": "devin-2"},
    {"structured_output": {"a": "\ud800"}},
    {"detail": "\ud800"},
    {"messages": []},
    {"cursor": ""},
    {"delivered": "\x00"},
]
"""Of what was done before the wait."""
NO_TASKS = [
    "",
    "x",
    "devin-1",
    "devin-1~wanyattention1",
    "../x~wanyattention1~~",
    "devin-1~wanyattention1~x~",
    "devin-1+devin-2~danyattention1~~",
    "devin-1~danyattention1~~W10",
    "devin-1~danyattention1~~e30",
    "devin-1~manyattention1~~e30",
    *(
        DeferredWait(("devin-1",), kind="message", done=json.dumps(SENT | fields), began_at=1).id
        for fields in WRONG_FIELDS
    ),
]
SIXTEEN = [f"devin-{number:032x}" for number in range(16)]


@pytest.fixture
async def client(upstream: Upstream, manual_clock: ManualClock) -> AsyncIterator[TaskClient]:
    async with start_http_server(settings_for(upstream), manual_clock) as url:
        yield TaskClient(url)


async def begin(client: TaskClient, *session_ids: str, **arguments: Any) -> dict[str, Any]:
    task = await client.call("wait_for_sessions", session_ids=list(session_ids), **arguments)
    assert task["resultType"] == "task", task
    return task


async def test_wait_becomes_a_task_that_completes_with_the_tools_own_answer(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession(fields={"title": "Fix login"}).at(upstream)
    task = await begin(client, "devin-1")
    assert (task["status"], task["ttlMs"]) == ("working", LIFETIME_SECONDS * 1000)
    assert task["taskId"].startswith("devin-1~")
    working = await client.get(task["taskId"])
    assert working["status"] == "working"
    assert working["statusMessage"] == '"Fix login" is working'
    assert 5_000 <= working["pollIntervalMs"] <= 20_000
    session.devin_says("Which one?")
    session.status_enum = "blocked"
    await manual_clock.advance(8, until_asleep=1)
    completed = await client.get(task["taskId"])
    assert completed["status"] == "completed"
    plain = await replace(client, capabilities=()).call(
        "wait_for_sessions", session_ids=["devin-1"]
    )
    assert completed["result"]["structuredContent"] == plain["structuredContent"]
    assert completed["result"]["structuredContent"]["timed_out"] is False
    assert "Which one?" in completed["result"]["content"][0]["text"]


@pytest.mark.parametrize("tool", ["delegate_task", "send_message"])
async def test_write_that_waits_becomes_a_task_and_happens_once(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock, tool: str
) -> None:
    if tool == "delegate_task":
        task = await client.call(
            tool, prompt="Fix login", repository="acme/shop-api", max_wait_s=30
        )
        (session_id,) = upstream.organization.sessions
        session = FakeSession(session_id)
        session.user_says("Fix login")
        session.at(upstream)
    else:
        session = FakeSession("devin-1", status_enum="blocked").at(upstream)
        session.devin_says("Which one?")
        task = await client.call(tool, session_id="devin-1", message="The first", max_wait_s=30)
    assert (task["resultType"], task["status"]) == ("task", "working")
    assert (await client.get(task["taskId"]))["status"] == "working"
    session.devin_says("Done.")
    session.status_enum = "finished"
    await manual_clock.advance(8, until_asleep=1)
    await manual_clock.advance(20, until_asleep=1)
    completed = await client.get(task["taskId"])
    result = completed["result"]["structuredContent"]
    assert completed["status"] == "completed"
    assert (result["session_id"], result["phase"]) == (session.session_id, "done")
    assert [message["message"] for message in result["messages"]][-1] == "Done."
    assert result["timed_out"] is False
    if tool == "delegate_task":
        assert result["is_new_session"] is True
        assert session.session_id.removeprefix("devin-") in result["url"]
    else:
        assert result["delivered"] is True
        assert [message["message"] for message in result["messages"]] == ["Done."]
        assert upstream.count("POST", MESSAGE) == 1


async def test_plain_delegation_answers_at_once_with_the_link(client: TaskClient) -> None:
    result = await client.call("delegate_task", prompt="Fix login")
    assert result["resultType"] == "complete"
    assert "sessions/" in result["structuredContent"]["url"]


async def test_what_is_known_already_is_an_ordinary_result(
    client: TaskClient, upstream: Upstream
) -> None:
    FakeSession(status_enum="blocked").at(upstream).devin_says("Which one?")
    upstream.fail("GET", path_of("devin-404"), *[answer(404)] * 9)
    waiting = await client.call("wait_for_sessions", session_ids=["devin-1"])
    wrong = await client.call("wait_for_sessions", session_ids=["devin-404"])
    invalid = await client.call("wait_for_sessions", session_ids=["../x"])
    assert waiting["structuredContent"]["sessions"][0]["phase"] == "waiting"
    assert (wrong["isError"], invalid["isError"]) == (True, True)


async def test_client_without_tasks_waits_in_its_call(
    client: TaskClient, upstream: Upstream
) -> None:
    FakeSession(status_enum="blocked").at(upstream).devin_says("Which one?")
    plain = replace(client, capabilities=())
    result = await plain.call("wait_for_sessions", session_ids=["devin-1"])
    assert result["resultType"] == "complete"
    refused = await plain.request("tasks/get", {"taskId": "devin-1~wanyattention1~~"})
    assert refused["error"]["code"] == -32021


async def test_task_goes_on_at_another_replica(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession().at(upstream)
    task = await begin(client, "devin-1")
    session.devin_says("Done.")
    session.status_enum = "finished"
    async with start_http_server(settings_for(upstream), manual_clock) as url:
        completed = await TaskClient(url).get(task["taskId"])
    assert completed["status"] == "completed"
    assert completed["result"]["structuredContent"]["sessions"][0]["phase"] == "done"


async def test_cancel_ends_the_wait_and_never_the_session(
    client: TaskClient, upstream: Upstream
) -> None:
    FakeSession().at(upstream)
    task = await begin(client, "devin-1")
    for method in ("tasks/cancel", "tasks/cancel", "tasks/update"):
        reply = await client.request(method, {"taskId": task["taskId"]})
        assert reply["result"]["resultType"] == "complete"
    assert upstream.count("DELETE", SESSION) == 0


async def test_task_ends_after_its_lifetime_with_what_is_known(
    client: TaskClient, upstream: Upstream
) -> None:
    FakeSession().at(upstream)
    old = DeferredWait(("devin-1",), began_at=int(time.time()) - LIFETIME_SECONDS - 1)
    completed = await client.get(old.id)
    assert completed["status"] == "completed"
    assert completed["result"]["structuredContent"]["timed_out"] is True
    assert completed["result"]["structuredContent"]["cursor"]


async def test_task_survives_a_devin_that_cannot_be_reached(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("GET", POLL, *[answer(503)] * 50)
    task = DeferredWait(("devin-1",), began_at=int(time.time()))
    looking = client.get(task.id)
    state = await advance_during(manual_clock, looking, 1, 1, 1, until_asleep=2)
    assert (state["status"], state["statusMessage"]) == ("working", "Devin has not answered yet")


async def test_refused_session_completes_the_task_with_an_error(
    client: TaskClient, upstream: Upstream
) -> None:
    upstream.fail("GET", f"{POLL}|{SESSION}", *[answer(404)] * 9)
    unknown = DeferredWait(("devin-404",), began_at=int(time.time()))
    completed = await client.get(unknown.id)
    assert completed["status"] == "completed"
    assert completed["result"]["isError"] is True


@pytest.mark.parametrize("task_id", NO_TASKS)
async def test_unknown_task_is_an_error_that_names_the_next_step(
    client: TaskClient, task_id: str
) -> None:
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        error = (await client.request(method, {"taskId": task_id}))["error"]
        assert error["code"] == -32602
        assert error["message"] == "There is no such task. Call devin_wait_for_sessions."


async def test_secret_in_devins_remark_is_not_in_the_id(
    client: TaskClient, upstream: Upstream
) -> None:
    upstream.fail("POST", MESSAGE, answer(200, {"detail": f"used {KEY}"}))
    FakeSession().at(upstream)
    task = await client.call("send_message", session_id="devin-1", message="m", max_wait_s=9)
    done = DeferredWait.parse(task["taskId"]).done
    assert KEY not in done
    assert json.loads(done)["delivered"] is True


async def test_header_that_names_another_task_is_refused(client: TaskClient) -> None:
    task_id = DeferredWait(("devin-1",), began_at=1).id
    reply = await client.request("tasks/get", {"taskId": task_id}, mcp_name="other")
    assert reply["error"]["code"] == -32020


async def test_sixteen_sessions_fit_into_one_task(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock
) -> None:
    sessions = [FakeSession(session_id).at(upstream) for session_id in SIXTEEN]
    plain = replace(client, capabilities=())
    waiting = plain.call("wait_for_sessions", session_ids=SIXTEEN, max_wait_s=1)
    first = await advance_during(manual_clock, waiting, 1, 1, until_asleep=17)
    cursor = first["structuredContent"]["cursor"]
    task = await begin(client, *SIXTEEN, cursor=cursor, until="all", wait_for="message")
    assert len(sessions) == 16
    assert len(task["taskId"]) <= MAX_ID_CHARS
    assert task["taskId"].isprintable()
    working = await client.get(task["taskId"])
    assert working["statusMessage"] == "16 sessions: 16 working"


async def test_tasks_are_calls_in_the_log(
    client: TaskClient, upstream: Upstream, logs: Logs
) -> None:
    FakeSession().at(upstream)
    task = await begin(client, "devin-1")
    await client.get(task["taskId"])
    await client.request("tasks/cancel", {"taskId": task["taskId"]})
    await client.request("tasks/get", {"taskId": "x"})
    calls = [line for line in logs() if line["event"] == "mcp_call" and line["method"] != "watch"]
    assert [(line["method"], line["outcome"], line.get("devin_session_id")) for line in calls] == [
        ("tools/call", "deferred", None),
        ("tasks/get", "ok", "devin-1"),
        ("tasks/cancel", "ok", "devin-1"),
        ("tasks/get", "refused", None),
    ]


async def test_gets_share_the_requests_of_one_poller(
    client: TaskClient, upstream: Upstream
) -> None:
    FakeSession().at(upstream)
    task = await begin(client, "devin-1")
    for _ in range(10):
        assert (await client.get(task["taskId"]))["status"] == "working"
    assert upstream.count("GET", POLL) == 1


async def test_client_looks_often_only_just_after_a_change(
    client: TaskClient, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """Hosts do exactly what the interval says."""
    FakeSession().at(upstream)
    task = await begin(client, "devin-1")
    intervals = []
    for _ in range(5):
        intervals.append((await client.get(task["taskId"]))["pollIntervalMs"])
        await manual_clock.advance(15, until_asleep=1)
        await manual_clock.wait_until_quiet()
    assert intervals[0] == 5_000
    assert all(10_000 <= interval <= 20_000 for interval in intervals if interval != 5_000)
    assert intervals[-1] >= 10_000
