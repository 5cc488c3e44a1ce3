"""devin_send_message with max_wait_s: the reply to this message, never an earlier one."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
from hypothesis import HealthCheck, settings
from hypothesis import given as for_any
from hypothesis import strategies as st

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect
from tests.fake_session import FakeSession
from tests.operations.waiting.conversations import BASE, devin_messages_of, messages_of, wait
from tests.upstream import Upstream, answer, late

STEPS = st.lists(
    st.sampled_from(["devin", "hide", "show", "wait", "answer", "block", "work"]),
    min_size=3,
    max_size=16,
)


async def send_and_wait(
    client: ToolClient, manual_clock: ManualClock, message: str, **arguments: Any
) -> dict[str, Any]:
    """Send a message to devin-1 and wait a second for the reply."""
    sending = client.ok(
        "send_message", session_id="devin-1", message=message, max_wait_s=1, **arguments
    )
    return await advance_during(manual_clock, sending, 2, 70, until_asleep=2)


async def test_reply_is_returned_although_the_sent_message_was_changed(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    row = BASE | {"session_id": "devin-1", "status_enum": "blocked"}
    talk = [
        {"type": "user_message", "event_id": "e0", "message": "[changed on the way]"},
        {"type": "devin_message", "event_id": "e1", "message": "Yes."},
    ]
    upstream.fail("POST", ".*/message", answer(200, None))
    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        answer(200, row | {"messages": []}),
        *[answer(200, row | {"messages": talk})] * 20,
    )
    async with connect(manual_clock=manual_clock) as client:
        sending = asyncio.ensure_future(
            client.ok("send_message", session_id="devin-1", message="mine", max_wait_s=10)
        )
        await anyio.sleep(0.1)
        await manual_clock.advance(11, until_asleep=2)
        sent = await sending
        assert (sent["delivered"], sent["timed_out"], bool(sent["cursor"])) == (True, True, True)
        later = await wait(
            client,
            manual_clock,
            2,
            70,
            max_wait_s=1,
            session_ids=["devin-1"],
            cursor=sent["cursor"],
        )
    assert devin_messages_of(later) == ["Yes."]


async def test_repeated_message_does_not_return_the_old_reply(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    def turn(*texts: str, **more: Any) -> Any:
        talk = [
            {
                "type": "devin_message" if place % 2 else "user_message",
                "event_id": f"e{place}",
                "message": text,
            }
            for place, text in enumerate(texts)
        ]
        return answer(
            200, BASE | {"session_id": "devin-1", "status_enum": "blocked", "messages": talk} | more
        )

    old = turn("yes", "Shall I delete the table?", structured_output={"n": 1})
    upstream.fail("POST", ".*/message", answer(200, None))
    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        old,
        old,
        turn("yes", "Shall I delete the table?", "yes", "Deleted.", structured_output={"n": 2}),
    )
    async with connect(manual_clock=manual_clock) as client:
        sending = asyncio.ensure_future(
            client.ok("send_message", session_id="devin-1", message="yes", max_wait_s=45)
        )
        await anyio.sleep(0.1)
        await manual_clock.advance(8, until_asleep=2)
        with anyio.fail_after(5):
            sent = await sending
    assert devin_messages_of(sent) == ["Deleted."]
    assert sent["sessions"][0]["structured_output"] == {"n": 2}


async def test_wait_after_a_message_does_not_return_the_old_question(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    row = BASE | {"session_id": "devin-1", "status_enum": "blocked"}
    question = [{"type": "devin_message", "event_id": "e0", "message": "Which?"}]
    answered = [*question, {"type": "user_message", "event_id": "e1", "message": "this"}]
    upstream.fail("POST", ".*/message", answer(200, None))
    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        *[answer(200, row | {"messages": question})] * 2,
        answer(200, row | {"messages": answered}),
        answer(
            200,
            row
            | {
                "messages": [
                    *answered,
                    {"type": "devin_message", "event_id": "e2", "message": "Done."},
                ]
            },
        ),
    )
    async with connect(manual_clock=manual_clock) as client:
        first = await wait(client, manual_clock, 2, 70, max_wait_s=1, session_ids=["devin-1"])
        await client.ok("send_message", session_id="devin-1", message="this")
        second = await wait(
            client, manual_clock, 7, 7, session_ids=["devin-1"], cursor=first["cursor"]
        )
    assert devin_messages_of(second) == ["Done."]


async def test_turn_longer_than_the_call_returns_each_message_once(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("Mend it")
        asked = await advance_during(
            manual_clock, client.ok("wait_for_sessions", session_ids=[session_id]), 8, 8
        )
        received = messages_of(asked)
        sent = await advance_during(
            manual_clock,
            client.ok(
                "send_message",
                session_id=session_id,
                message="strict",
                max_wait_s=2,
                cursor=asked["cursor"],
            ),
            1,
            2,
            until_asleep=2,
        )
        assert sent["timed_out"] is True
        received += messages_of(sent)
        done = await advance_during(
            manual_clock,
            client.ok("wait_for_sessions", session_ids=[session_id], cursor=sent["cursor"]),
            8,
            8,
        )
        received += messages_of(done)
    assert [text[:7] for text in received] == ["Mend it", "I have ", "strict", "Done: t"]
    assert done["sessions"][0]["phase"] == "done"


async def test_message_before_the_reply_is_returned_with_a_cursor(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession(status_enum="blocked").at(upstream)
    session.devin_send_and_wait("Seen.")
    async with connect(manual_clock=manual_clock) as client:
        first = await wait(client, manual_clock, 2, 70, max_wait_s=1)
        session.devin_send_and_wait("Budget exceeded, stop?")
        sent = await send_and_wait(client, manual_clock, "go", cursor=first["cursor"])
        session.devin_send_and_wait("Went.")
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
    session.devin_send_and_wait("Seen.")
    async with connect(manual_clock=manual_clock) as client:
        sent = await send_and_wait(client, manual_clock, "go")
        session.devin_send_and_wait("Went.")
        session.status_enum = "blocked"
        last = await wait(client, manual_clock, 2, 70, max_wait_s=1, cursor=sent["cursor"])
    assert messages_of(sent) + messages_of(last) == ["Went."]


async def test_old_reply_is_told_apart_by_its_timestamp(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """Nothing can be read while Devin works, so all there is to tell the two apart is when they were said."""
    session = FakeSession(readable=0).at(upstream)
    session.user_send_and_wait("go on", timestamp="2020-01-01T00:00:00Z")
    session.devin_send_and_wait("OLD reply", timestamp="2020-01-01T00:01:00Z")
    async with connect(manual_clock=manual_clock) as client:
        sending = asyncio.ensure_future(
            client.ok("send_message", session_id="devin-1", message="go on", max_wait_s=40)
        )
        await upstream.until("GET", "/v1/sessions/devin-1", 2)
        await manual_clock.asleep(2)
        session.status_enum, session.readable = (
            "blocked",
            2,
        )  # its turn has ended, and the last words are late
        await manual_clock.advance(7, until_asleep=2)
        session.devin_send_and_wait("NEW reply")
        session.readable = None
        await manual_clock.advance(7, until_asleep=2)
        with anyio.fail_after(5):
            sent = await sending
    assert messages_of(sent)[-1] == "NEW reply"
    assert "OLD reply" not in messages_of(sent)


async def test_message_is_sent_although_the_session_cannot_be_read_before(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", "/v1/sessions/devin-1", late(gate))
    session = FakeSession(status_enum="blocked").at(upstream)
    async with connect(manual_clock=manual_clock, deadline=7) as client:
        sent = await client.ok("send_message", session_id="devin-1", message="go", max_wait_s=1)
        gate.set()
    assert (sent["delivered"], [message["message"] for message in session.said]) == (True, ["go"])


async def test_failed_wait_gives_its_reason_and_the_message_stays_delivered(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", ".*/message", answer(200, None))
    upstream.fail("GET", "/v1/sessions/devin-1", answer(500), *[answer(403, {"detail": "no"})] * 9)
    async with connect(manual_clock=manual_clock) as client:
        sent = await client.ok("send_message", session_id="devin-1", message="go", max_wait_s=5)
    assert sent["delivered"] is True
    assert "may not do that" in sent["sessions"][0]["problem"]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@for_any(STEPS, st.booleans())
async def test_waits_and_replies_return_every_message_once_and_in_order(
    connect: Connect, upstream: Upstream, steps: list[str], named: bool
) -> None:
    """With or without ids on the messages, and with a limit that cuts and leaves out."""
    upstream._faults.clear()
    session, manual_clock, received, cursor = FakeSession().at(upstream), ManualClock(), [], None

    def receive(result: dict[str, Any]) -> None:
        nonlocal cursor
        cursor = result["cursor"]
        received.extend(messages_of(result))

    async with connect(manual_clock=manual_clock, result_limit=2000) as client:
        for step in [*steps, "show", "block", "devin", *["wait"] * 6]:
            match step:
                case "devin":
                    session.devin_send_and_wait(f"m{len(session.said)} " + "x" * 150)
                case "hide" | "show":
                    session.readable = 0 if step == "hide" else None
                case "block" | "work":
                    session.status_enum = "blocked" if step == "block" else "working"
                case "wait":
                    receive(
                        await wait(
                            client,
                            manual_clock,
                            2,
                            70,
                            max_wait_s=1,
                            **({"cursor": cursor} if cursor else {}),
                        )
                    )
                case "answer":
                    receive(
                        await send_and_wait(
                            client,
                            manual_clock,
                            f"a{len(session.said)}",
                            **({"cursor": cursor} if cursor else {"cursor": ""}),
                        )
                    )
            if not named:
                for message in session.said:
                    message.pop("event_id", None)
    sent = [message["message"] for message in session.said]
    first = sent.index(received[0]) if received else len(sent)
    assert received == sent[first:], "once it has begun, nothing is missed and nothing comes twice"
    if not any(step == "answer" for step in steps):
        assert first == 0
