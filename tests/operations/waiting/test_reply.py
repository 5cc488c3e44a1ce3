"""devin_send_message with max_wait_s: the reply to this message, never an earlier one."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, ToolClient
from tests.fake_session import MESSAGE, POLL, FakeSession, path_of
from tests.operations.waiting.conversations import (
    devin_messages_of,
    message,
    messages_of,
    time_passing,
    wait,
)
from tests.upstream import Upstream, answer, delay_work

pytestmark = pytest.mark.usefixtures("api")

STEPS = st.lists(
    st.sampled_from(["devin", "hide", "show", "wait", "answer", "block", "work"]),
    min_size=3,
    max_size=16,
)


async def send_and_wait(
    client: ToolClient, manual_clock: ManualClock, text: str, **arguments: Any
) -> dict[str, Any]:
    """Send a message to devin-1 and wait one second for the reply."""
    sending = client.ok(
        "send_message", session_id="devin-1", message=text, max_wait_s=1, **arguments
    )
    return await advance_during(manual_clock, sending, 2, 70, until_asleep=2)


async def test_reply_is_returned_although_the_sent_message_was_changed(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    messages = [message(0, "[changed on the way]", "user"), message(1, "Yes.")]
    upstream.fail("POST", MESSAGE, answer(200, None))
    FakeSession(status_enum="blocked").at(upstream).then({}, {"messages": messages})
    async with connect(manual_clock=manual_clock) as client:
        sending = client.ok("send_message", session_id="devin-1", message="mine", max_wait_s=10)
        sent = await advance_during(manual_clock, sending, 11, until_asleep=2)
        assert (sent["delivered"], sent["timed_out"], bool(sent["cursor"])) == (True, True, True)
        later = await wait(client, manual_clock, cursor=sent["cursor"])
    assert devin_messages_of(later) == ["Yes."]


async def test_repeated_message_does_not_return_the_old_reply(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    def turn(*texts: str, **fields: Any) -> dict[str, Any]:
        messages = [
            message(number, text, "devin" if number % 2 else "user")
            for number, text in enumerate(texts)
        ]
        return {"messages": messages, "fields": fields}

    old = turn("yes", "Shall I delete the table?", structured_output={"n": 1})
    upstream.fail("POST", MESSAGE, answer(200, None))
    FakeSession(status_enum="blocked").at(upstream).then(
        old,
        old,
        turn("yes", "Shall I delete the table?", "yes", "Deleted.", structured_output={"n": 2}),
    )
    async with connect(manual_clock=manual_clock) as client:
        sending = client.ok("send_message", session_id="devin-1", message="yes", max_wait_s=45)
        sent = await advance_during(manual_clock, sending, 8, until_asleep=2)
    assert devin_messages_of(sent) == ["Deleted."]
    assert sent["structured_output"] == {"n": 2}


async def test_wait_after_a_message_does_not_return_the_old_question(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    question = [message(0, "Which?")]
    answered = [*question, message(1, "this", "user")]
    upstream.fail("POST", MESSAGE, answer(200, None))
    FakeSession(status_enum="blocked").at(upstream).then(
        {"messages": question},
        {"messages": question},
        {"messages": answered},
        {"messages": [*answered, message(2, "Done.")]},
    )
    async with connect(manual_clock=manual_clock) as client:
        first = await wait(client, manual_clock)
        await client.ok("send_message", session_id="devin-1", message="this")
        second = await wait(client, manual_clock, 7, 7, cursor=first["cursor"])
    assert devin_messages_of(second) == ["Done."]


async def test_turn_longer_than_the_call_returns_each_message_once(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("Fix it!")
        question = await wait(client, manual_clock, 8, 8, session_ids=[session_id])
        received = messages_of(question)
        sending = client.ok(
            "send_message",
            session_id=session_id,
            message="strict",
            max_wait_s=2,
            cursor=question["cursor"],
        )
        sent = await advance_during(manual_clock, sending, 1, 2, until_asleep=2)
        assert sent["timed_out"] is True
        received += messages_of(sent)
        result = await wait(
            client, manual_clock, 8, 8, session_ids=[session_id], cursor=sent["cursor"]
        )
        received += messages_of(result)
    assert [text[:7] for text in received] == ["Fix it!", "I have ", "strict", "Done: t"]
    assert result["sessions"][0]["phase"] == "done"


async def test_message_before_the_reply_is_returned_with_a_cursor(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession(status_enum="blocked").at(upstream)
    session.devin_says("Seen.")
    async with connect(manual_clock=manual_clock) as client:
        first = await wait(client, manual_clock, 2, 70, max_wait_s=1)
        session.devin_says("Budget exceeded, stop?")
        sent = await send_and_wait(client, manual_clock, "go", cursor=first["cursor"])
        session.devin_says("Went.")
        session.status_enum = "blocked"
        last = await wait(client, manual_clock, 2, 70, max_wait_s=1, cursor=sent["cursor"])
    assert messages_of(first) + messages_of(sent) + messages_of(last) == [
        "Seen.",
        "Budget exceeded, stop?",
        "go",
        "Went.",
    ]


async def test_only_the_reply_is_returned_without_a_cursor(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession(status_enum="blocked").at(upstream)
    session.devin_says("Seen.")
    async with connect(manual_clock=manual_clock) as client:
        sent = await send_and_wait(client, manual_clock, "go")
        session.devin_says("Went.")
        session.status_enum = "blocked"
        last = await wait(client, manual_clock, 2, 70, max_wait_s=1, cursor=sent["cursor"])
    assert messages_of(sent) + messages_of(last) == ["Went."]


async def test_old_reply_is_told_apart_by_its_timestamp(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """Nothing is readable while Devin works: only the timestamps tell the two messages apart."""
    session = FakeSession(visible_count=0).at(upstream)
    session.user_says("go on", timestamp="2020-01-01T00:00:00Z")
    session.devin_says("OLD reply", timestamp="2020-01-01T00:01:00Z")
    async with connect(manual_clock=manual_clock) as client:
        sending = asyncio.ensure_future(
            client.ok("send_message", session_id="devin-1", message="go on", max_wait_s=40)
        )
        await upstream.wait_for("GET", f"{POLL}|{path_of('devin-1')}", 2)
        await manual_clock.wait_for_sleepers(2)
        session.status_enum = "blocked"
        session.visible_count = 2  # the turn has ended, and its final message is late
        await manual_clock.advance(7, until_asleep=2)
        session.devin_says("NEW reply")
        session.visible_count = None
        sent = await advance_during(manual_clock, sending, 7, until_asleep=2)
    assert messages_of(sent)[-1] == "NEW reply"
    assert "OLD reply" not in messages_of(sent)


async def test_message_is_sent_although_the_session_cannot_be_read_before(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", path_of("devin-1"), delay_work(gate))
    session = FakeSession(status_enum="blocked").at(upstream)
    async with connect(manual_clock=manual_clock, deadline=7) as client:
        sending = client.ok("send_message", session_id="devin-1", message="go", max_wait_s=1)
        sent = await advance_during(manual_clock, sending, 5, 2)
        gate.set()
    assert sent["delivered"] is True
    assert [row["message"] for row in session.messages] == ["go"]


async def test_failed_wait_gives_its_reason_and_the_message_stays_delivered(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", MESSAGE, answer(200, None))
    upstream.fail("GET", path_of("devin-1"), answer(500), *[answer(403, {"detail": "no"})] * 9)
    async with connect(manual_clock=manual_clock) as client:
        sent = await client.ok("send_message", session_id="devin-1", message="go", max_wait_s=5)
    assert sent["delivered"] is True
    assert "may not do that" in sent["problem"]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS, st.booleans())
@example(["devin", "wait", "answer", "devin", "hide", "wait", "show", "answer", "work"], True)
@example(["wait", "devin", "block", "answer", "hide", "devin", "show", "wait", "devin"], False)
async def test_waits_and_replies_return_every_message_once_and_in_order(
    connect: Connect, upstream: Upstream, steps: list[str], has_ids: bool
) -> None:
    """With or without event ids, and with a limit that cuts messages and leaves some out."""
    session = FakeSession(f"devin-{uuid4().hex}").at(upstream)
    manual_clock = ManualClock()
    received: list[str] = []
    cursor = ""

    def receive(result: dict[str, Any]) -> None:
        nonlocal cursor
        cursor = result["cursor"]
        received.extend(messages_of(result))

    async with (
        connect(manual_clock=manual_clock, result_limit=2000) as client,
        time_passing(manual_clock, 2),
    ):
        wait_arguments = {"session_ids": [session.session_id], "max_wait_s": 1}
        for step in [*steps, "show", "block", "devin", *["wait"] * 6]:
            match step:
                case "devin":
                    session.devin_says(f"m{len(session.messages)} " + "x" * 150)
                case "hide" | "show":
                    session.visible_count = 0 if step == "hide" else None
                case "block" | "work":
                    session.status_enum = "blocked" if step == "block" else "working"
                case "wait":
                    receive(
                        await client.ok(
                            "wait_for_sessions", **wait_arguments, cursor=cursor or None
                        )
                    )
                case "answer":
                    receive(
                        await client.ok(
                            "send_message",
                            session_id=session.session_id,
                            message=f"a{len(session.messages)}",
                            max_wait_s=1,
                            cursor=cursor,
                        )
                    )
            if not has_ids:
                for row in session.messages:
                    row.pop("event_id", None)
    sent = [row["message"] for row in session.messages]
    first = sent.index(received[0]) if received else len(sent)
    assert received == sent[first:], "from the first received message on, each comes once"
    if "answer" not in steps:
        assert first == 0, "without an answer, the first message is received too"
