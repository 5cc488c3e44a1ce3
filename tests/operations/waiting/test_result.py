"""The result of a wait: what it contains, and what happens to what does not fit."""

from __future__ import annotations

import json

import pytest

from tests.clock import ManualClock
from tests.conftest import Connect
from tests.fake_session import FakeSession, path_of
from tests.operations.waiting.conversations import (
    devin_messages_of,
    message,
    messages_of,
    wait,
)
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.usefixtures("api")


@pytest.mark.parametrize(
    ("count", "limit"),
    [
        (1, 2000),
        (5, 2000),
        (12, 3000),
        (16, 2000),
        (16, 4000),
        (1, 25_000),
        (5, 25_000),
        (12, 25_000),
        (16, 25_000),
    ],
)
async def test_result_fits_its_limit(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, count: int, limit: int
) -> None:
    messages = [
        {
            "type": "devin_message",
            "event_id": f"event-{'x' * 50}-{number}",
            "message": f"{number} " + "y" * 7500,
        }
        for number in range(6)
    ]
    ids = [f"devin-{number:032x}" for number in range(count)]
    for session_id in ids:
        FakeSession(session_id, "blocked", messages=messages, fields={"title": "t" * 300}).at(
            upstream
        )
    async with connect(manual_clock=manual_clock, result_limit=limit) as client:
        result = await wait(client, manual_clock, session_ids=ids)
        assert len(json.dumps(result, separators=(",", ":"), ensure_ascii=False)) <= limit
        assert any(row.get("messages") for row in result["sessions"])
        again = await wait(client, manual_clock, session_ids=ids, cursor=result["cursor"])
    assert again["cursor"] != result["cursor"], "the next call returns further messages"


async def test_structured_output_of_the_previous_turn_is_not_returned(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    messages = [message(0, "first")]
    later = [*messages, message(1, "more", "user"), message(2, "second")]
    FakeSession(fields={"structured_output": {"n": 1}}).at(upstream).then(
        {"status_enum": "blocked", "messages": messages},
        {"status_enum": "working", "visible_count": 0},
        {
            "status_enum": "blocked",
            "fields": {"structured_output": {"n": 2}},
            "messages": later,
            "visible_count": None,
        },
    )
    async with connect(manual_clock=manual_clock) as client:
        first = await wait(client, manual_clock)
        second = await wait(client, manual_clock, 7, 7, cursor=first["cursor"])
    assert first["sessions"][0]["structured_output"] == {"n": 1}
    assert second["sessions"][0]["structured_output"] == {"n": 2}
    assert devin_messages_of(second) == ["second"]


async def test_messages_that_do_not_fit_follow_in_later_calls(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    texts = [f"{number}:" + "x" * (6000 if number == 3 else 400) for number in range(12)]
    session = FakeSession(status_enum="blocked").at(upstream)
    for text in texts:
        session.devin_says(text)
    received, cursor = "", None
    async with connect(manual_clock=manual_clock, result_limit=3000) as client:
        for _ in range(30):
            result = await client.ok("wait_for_sessions", session_ids=["devin-1"], cursor=cursor)
            assert len(json.dumps(result, separators=(",", ":"))) <= 3000
            cursor = result["cursor"]
            messages = result["sessions"][0].get("messages", [])
            received += "".join(messages_of(result))
            if messages and messages[-1].get("truncated"):
                assert f"from_char={len(messages[-1]['message'])}" in result["next"]
                received += texts[3][len(messages[-1]["message"]) :]
            if not messages:
                break
    assert received == "".join(texts)


async def test_structured_output_is_returned_once_at_the_end_of_the_turn(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession(fields={"structured_output": {"n": 1}}).at(upstream)
    async with connect(manual_clock=manual_clock) as client:
        working = await wait(client, manual_clock, 2, max_wait_s=1)
        assert "structured_output" not in working["sessions"][0]
        session.status_enum = "blocked"
        session.devin_says("Done.")
        ended = await wait(client, manual_clock, 7, cursor=working["cursor"])
        assert ended["sessions"][0]["structured_output"] == {"n": 1}
        again = await wait(client, manual_clock, 50, cursor=ended["cursor"])
    assert "structured_output" not in again["sessions"][0]


@pytest.mark.parametrize("refused", [0, 15])
async def test_sixteen_sessions_pass_the_smallest_limit_over_several_calls(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, refused: int
) -> None:
    ids = [f"devin-{number:032x}" for number in range(16)]
    for index, session_id in enumerate(ids):
        if index < refused:
            upstream.fail(
                "GET",
                path_of(session_id),
                *[answer(403, {"detail": "You do not have the permission to see it " * 9})] * 99,
            )
            continue
        session = FakeSession(
            session_id,
            "blocked",
            fields={
                "pull_request": {"url": f"https://github.com/acme/shop-api-service/pull/{index}"}
            },
        )
        session.at(upstream).devin_says(f"Done with {index}.")
    received: list[str] = []
    pull_requests, cursor = set(), None
    async with connect(manual_clock=manual_clock, result_limit=2000) as client:
        for _ in range(16):
            arguments = {"session_ids": ids, "max_wait_s": 1, "cursor": cursor}
            result = await wait(client, manual_clock, 2, 2, until_asleep=17 - refused, **arguments)
            cursor = result["cursor"]
            for index, row in enumerate(result["sessions"]):
                received += messages_of(result, index)
                pull_requests.add(row.get("pull_requests", [{}])[0].get("url"))
            assert len(result["sessions"]) + result.get("left_out", 0) == 16
    assert sorted(received) == sorted(f"Done with {index}." for index in range(refused, 16))
    assert len(pull_requests - {None}) == 16 - refused


async def test_cut_user_message_can_be_read_on_and_the_task_is_not_offered(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession(status_enum="blocked").at(upstream)
    session.messages.append(
        {"type": "initial_user_message", "event_id": "task", "message": "the task " * 50}
    )
    session.user_says("a colleague's words " * 80)
    session.devin_says("Which?")
    async with connect(manual_clock=manual_clock) as client:
        result = await wait(client, manual_clock)
        messages = result["sessions"][0]["messages"]
        assert [row.get("truncated") for row in messages] == [True, True, None]
        assert "after_event_id=devin-1-e1, from_char=1000" in result["next"]
        del session.messages[1]
        again = await wait(client, manual_clock)
    assert again["next"].startswith("Devin waits for you")
