"""devin_wait_for_sessions: when it returns, and what it says of sessions that cannot be read."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from mcp.types import CallToolResult

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, Era
from tests.fake_session import POLL, FakeSession, path_of
from tests.operations.waiting.conversations import devin_messages_of, messages_of, wait
from tests.upstream import Upstream, answer, delay_work

pytestmark = pytest.mark.usefixtures("api")


async def test_question_reply_and_result_take_one_call_each(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        question = await wait(client, manual_clock, 8, 8, session_ids=[session_id])
        assert question["sessions"][0]["phase"] == "waiting"
        assert "strict" in devin_messages_of(question)[0]
        assert question["timed_out"] is False
        assert "devin_send_message" in question["next"]
        replying = client.ok("send_message", session_id=session_id, message="strict", max_wait_s=45)
        result = await advance_during(manual_clock, replying, 8, until_asleep=2)
    assert result["delivered"] is True
    assert result["phase"] == "done"
    assert devin_messages_of(result)[0].startswith("Done")
    assert "pull/" in result["pull_requests"][0]["url"]
    assert result["timed_out"] is False
    assert "pull request" in result["next"]


async def test_unreadable_session_does_not_hide_a_question(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    FakeSession(status_enum="blocked").at(upstream).devin_says("Which?")
    upstream.fail("GET", path_of("devin-2"), *[answer(500)] * 20)
    async with connect(manual_clock=manual_clock) as client:
        result = await wait(client, manual_clock, session_ids=["devin-1", "devin-2"])
    assert devin_messages_of(result) == ["Which?"]
    assert result["timed_out"] is False
    assert "problem" in result["sessions"][1]


async def test_id_that_devin_rejects_ends_the_wait_at_once(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail(
        "GET",
        path_of("devin-odd"),
        *[answer(422, {"detail": [{"loc": ["path"], "msg": "bad id"}]})] * 9,
    )
    async with connect(manual_clock=manual_clock) as client:
        text = await client.error("wait_for_sessions", session_ids=["devin-odd"])
    assert "bad id" in text
    assert len(upstream.sent("get_session")) == 1


async def test_until_any_returns_with_the_first_session(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        quick = await client.create_session("sandbox:quick")
        slow = await client.create_session("sandbox:forever")
        result = await wait(client, manual_clock, 8, 8, session_ids=[slow, quick])
    assert [row["phase"] for row in result["sessions"]] == ["working", "waiting"]
    assert "For the others" in result["next"]


async def test_session_returned_before_does_not_end_the_wait_again(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        quick = await client.create_session("sandbox:quick")
        slow = await client.create_session("sandbox:forever")
        first = await wait(client, manual_clock, 8, 8, session_ids=[slow, quick])
        second = await wait(
            client,
            manual_clock,
            *(6, 10, 20, 30),
            session_ids=[slow, quick],
            cursor=first["cursor"],
            max_wait_s=20,
        )
    assert first["timed_out"] is False
    assert second["timed_out"] is True


async def test_until_all_returns_with_the_last_session(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        quick = await client.create_session("sandbox:quick")
        slow = await client.create_session("sandbox:forever")
        arguments: dict[str, Any] = {"session_ids": [slow, quick], "until": "all"}
        first = await wait(client, manual_clock, 6, 6, 40, **arguments, max_wait_s=20)
        assert first["timed_out"] is True
        await client.ok("terminate_session", session_id=slow)
        second = await wait(client, manual_clock, **arguments, cursor=first["cursor"])
    assert second["timed_out"] is False
    assert second["sessions"][0]["phase"] == "ended"


async def test_unknown_id_is_reported_and_the_others_are_waited_for(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:quick")
        result = await wait(client, manual_clock, 8, 8, session_ids=["devin-nope", session_id])
        assert result["sessions"][0] == {
            "session_id": "devin-nope",
            "problem": "Devin does not know this id",
        }
        assert devin_messages_of(result, 1)


async def test_wait_for_unknown_ids_only_is_an_error(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        assert "404" in await client.error("wait_for_sessions", session_ids=["devin-nope"])


async def test_more_than_16_sessions_are_refused(connect: Connect) -> None:
    async with connect() as client:
        text = await client.error(
            "wait_for_sessions", session_ids=[f"devin-{number}" for number in range(17)]
        )
    assert "more than 16" in text


async def test_wait_survives_server_errors(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:quick")
        upstream.fail("GET", POLL, answer(500), answer(500))
        result = await wait(client, manual_clock, 13, 25, session_ids=[session_id])
    assert devin_messages_of(result)
    assert upstream.count("GET", POLL) == 3


async def test_wait_without_any_answer_is_an_error(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:quick")
        upstream.fail("GET", POLL, *[answer(500)] * 9)
        waiting = client.error("wait_for_sessions", session_ids=[session_id], max_wait_s=10)
        text = await advance_during(manual_clock, waiting, 11, until_asleep=2)
    assert "could not be asked" in text


async def test_cancelled_wait_stops_polling(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, era: Era
) -> None:
    async with connect(era=era, manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:forever")
        waiting = asyncio.ensure_future(client("wait_for_sessions", session_ids=[session_id]))
        await manual_clock.advance(8, until_asleep=2)
        await upstream.wait_for("GET", POLL, 2)
        await manual_clock.wait_for_sleepers(2)
        waiting.cancel()
        await manual_clock.wait_for_sleepers(0)
        await anyio.sleep(0.05)  # no request follows
        assert upstream.count("GET", POLL) == 2


async def test_question_is_returned_while_another_session_hangs(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session, gate = FakeSession(status_enum="blocked").at(upstream), asyncio.Event()
    session.devin_says("Which?")
    upstream.fail("GET", path_of("devin-2"), delay_work(gate))
    async with connect(manual_clock=manual_clock) as client:
        result = await wait(
            client, manual_clock, 2.5, session_ids=["devin-1", "devin-2"], until_asleep=2
        )
        gate.set()
    assert (messages_of(result), result["timed_out"]) == (["Which?"], False)
    assert "has not answered" in result["sessions"][1]["problem"]
    assert "For the others" in result["next"]
    assert result["cursor"].count(".") == 0


async def test_wait_for_a_hanging_session_ends_soon_after_max_wait_s(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", path_of("devin-1"), delay_work(gate))
    async with connect(manual_clock=manual_clock) as client:
        waiting = client.error("wait_for_sessions", session_ids=["devin-1"], max_wait_s=3)
        text = await advance_during(manual_clock, waiting, 2, 2, 10)
        gate.set()
    assert "could not be asked" in text


@pytest.mark.parametrize(("wait_for", "timed_out"), [("attention", True), ("message", False)])
async def test_only_wait_for_message_returns_with_a_message_of_a_working_session(
    connect: Connect,
    upstream: Upstream,
    manual_clock: ManualClock,
    wait_for: str,
    timed_out: bool,
) -> None:
    session = FakeSession().at(upstream)
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(
            client.ok("wait_for_sessions", session_ids=["devin-1"], wait_for=wait_for)
        )
        await manual_clock.wait_for_sleepers(2)
        session.devin_says("Still reading.")
        result = await advance_during(manual_clock, waiting, 7, 40, until_asleep=2)
    assert messages_of(result) == ["Still reading."]
    assert result["timed_out"] is timed_out


async def test_forbidden_session_is_reported_and_the_others_are_waited_for(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession().at(upstream)
    upstream.fail("GET", path_of("devin-2"), *[answer(403, {"detail": "Not yours"})] * 9)
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(
            client.ok("wait_for_sessions", session_ids=["devin-1", "devin-2"])
        )
        await manual_clock.wait_for_sleepers(2)
        session.status_enum = "finished"
        session.devin_says("Done.")
        result = await advance_during(manual_clock, waiting, 7, until_asleep=2)
    assert result["sessions"][0]["phase"] == "done"
    assert "may not do that" in result["sessions"][1]["problem"]
    assert upstream.count("GET", path_of("devin-2")) == 1


async def test_wait_returns_everything_without_progress_support(
    connect: Connect, manual_clock: ManualClock, era: Era
) -> None:
    """Neither a client without a callback nor one whose callback raises misses anything."""

    async def fail(progress: float, total: float | None, message: str | None) -> None:
        raise RuntimeError("no progress, please")

    conversations = []
    for callback in (None, fail):
        async with connect(era=era, manual_clock=manual_clock) as client:
            session_id = await client.create_session("Fix it!")
            arguments = {"session_ids": [session_id]}
            waiting = client.sdk.call_tool(
                "devin_wait_for_sessions", arguments, progress_callback=callback
            )
            result = await advance_during(manual_clock, waiting, 8, 8)
            assert isinstance(result, CallToolResult)
            assert result.structured_content is not None
            conversations.append(
                [
                    message["message"]
                    for message in result.structured_content["sessions"][0]["messages"]
                ]
            )
    assert [text[:6] for text in conversations[0]] == ["Fix it", "I have"]
    assert conversations[1] == conversations[0]
