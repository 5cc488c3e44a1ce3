"""Answering Devin and waiting for what comes of it, in one call and over many: nothing missed, nothing repeated."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
from hypothesis import HealthCheck, settings
from hypothesis import given as for_any
from hypothesis import strategies as st

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, Era, ToolClient
from tests.fake_session import FakeSession
from tests.upstream import Upstream, answer, late


def words(result: dict[str, Any], place: int = 0) -> list[str]:
    return [message["message"] for message in result["sessions"][place].get("messages", [])]


async def waits(client: ToolClient, manual_clock: ManualClock, **arguments: Any) -> dict[str, Any]:
    given = {"session_ids": ["devin-1"], "max_wait_s": 1, **arguments}
    return await advance_during(manual_clock, client.ok("wait_for_sessions", **given), 2, 70)


async def says(
    client: ToolClient, manual_clock: ManualClock, message: str, **arguments: Any
) -> dict[str, Any]:
    given = {"session_id": "devin-1", "message": message, "max_wait_s": 1, **arguments}
    return await advance_during(
        manual_clock, client.ok("send_message", **given), 2, 70, until_asleep=2
    )


async def test_a_turn_that_takes_longer_than_the_call_is_told_once(
    connect: Connect, manual_clock: ManualClock, era: Era
) -> None:
    async with connect(era=era, manual_clock=manual_clock) as client:
        one = (await client.ok("create_session", prompt="Mend it"))["session_id"]
        asked = await advance_during(
            manual_clock, client.ok("wait_for_sessions", session_ids=[one]), 8, 8
        )
        told = words(asked)
        sent = await advance_during(
            manual_clock,
            client.ok(
                "send_message",
                session_id=one,
                message="strict",
                max_wait_s=2,
                cursor=asked["cursor"],
            ),
            1,
            2,
            until_asleep=2,
        )
        assert sent["timed_out"] is True
        told += words(sent)
        done = await advance_during(
            manual_clock,
            client.ok("wait_for_sessions", session_ids=[one], cursor=sent["cursor"]),
            8,
            8,
        )
        told += words(done)
    assert [text[:7] for text in told] == ["Mend it", "I have ", "strict", "Done: t"]
    assert done["sessions"][0]["phase"] == "done"


async def test_what_devin_said_before_the_answer_was_sent_is_not_lost(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    talk = FakeSession(status_enum="blocked").at(upstream)
    talk.devin_says("Seen.")
    async with connect(manual_clock=manual_clock) as client:
        first = await waits(client, manual_clock)
        talk.devin_says("Budget exceeded, stop?")
        sent = await says(client, manual_clock, "go", cursor=first["cursor"])
        talk.devin_says("Went.")
        talk.status_enum = "blocked"
        last = await waits(client, manual_clock, cursor=sent["cursor"])
    assert words(first) + words(sent) + words(last) == [
        "Seen.",
        "Budget exceeded, stop?",
        "go",
        "Went.",
    ]


async def test_without_a_cursor_only_the_answer_is_told(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    talk = FakeSession(status_enum="blocked").at(upstream)
    talk.devin_says("Seen.")
    async with connect(manual_clock=manual_clock) as client:
        sent = await says(client, manual_clock, "go")
        talk.devin_says("Went.")
        talk.status_enum = "blocked"
        last = await waits(client, manual_clock, cursor=sent["cursor"])
    assert words(sent) + words(last) == ["Went."]


async def test_the_same_words_said_long_ago_do_not_bring_the_old_reply(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """Nothing can be read while Devin works, so all there is to tell the two apart is when they were said."""
    talk = FakeSession(readable=0).at(upstream)
    talk.user_says("go on", timestamp="2020-01-01T00:00:00Z")
    talk.devin_says("OLD reply", timestamp="2020-01-01T00:01:00Z")
    async with connect(manual_clock=manual_clock) as client:
        sending = asyncio.ensure_future(
            client.ok("send_message", session_id="devin-1", message="go on", max_wait_s=40)
        )
        await upstream.until("GET", "/v1/sessions/devin-1", 2)
        await manual_clock.asleep(2)
        talk.status_enum, talk.readable = (
            "blocked",
            2,
        )  # its turn has ended, and the last words are late
        await manual_clock.advance(7, until_asleep=2)
        talk.devin_says("NEW reply")
        talk.readable = None
        await manual_clock.advance(7, until_asleep=2)
        with anyio.fail_after(5):
            sent = await sending
    assert words(sent)[-1] == "NEW reply"
    assert "OLD reply" not in words(sent)


async def test_knowing_how_it_stood_before_takes_no_more_than_its_time(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", "/v1/sessions/devin-1", late(gate))
    talk = FakeSession(status_enum="blocked").at(upstream)
    async with connect(manual_clock=manual_clock, deadline=7) as client:
        sent = await client.ok("send_message", session_id="devin-1", message="go", max_wait_s=1)
        gate.set()
    assert (sent["delivered"], [one["message"] for one in talk.said]) == (True, ["go"])


async def test_waiting_that_cannot_look_says_why_and_what_was_done_stands(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", ".*/message", answer(200, None))
    upstream.fail("GET", "/v1/sessions/devin-1", answer(500), *[answer(403, {"detail": "no"})] * 9)
    async with connect(manual_clock=manual_clock) as client:
        sent = await client.ok("send_message", session_id="devin-1", message="go", max_wait_s=5)
    assert sent["delivered"] is True
    assert "may not do that" in sent["sessions"][0]["problem"]


STEPS = st.lists(
    st.sampled_from(["devin", "hide", "show", "wait", "answer", "block", "work"]),
    min_size=3,
    max_size=16,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@for_any(STEPS, st.booleans())
async def test_whatever_happens_between_waits_and_answers_every_word_comes_once_and_in_order(
    connect: Connect, upstream: Upstream, steps: list[str], named: bool
) -> None:
    """With or without ids on the messages, and with a limit that cuts and leaves out."""
    upstream._faults.clear()
    talk, manual_clock, notifications, cursor = FakeSession().at(upstream), ManualClock(), [], None

    def learn(got: dict[str, Any]) -> None:
        nonlocal cursor
        cursor = got["cursor"]
        notifications.extend(words(got))

    async with connect(manual_clock=manual_clock, result_limit=2000) as client:
        for step in [*steps, "show", "block", "devin", *["wait"] * 6]:
            match step:
                case "devin":
                    talk.devin_says(f"m{len(talk.said)} " + "x" * 150)
                case "hide" | "show":
                    talk.readable = 0 if step == "hide" else None
                case "block" | "work":
                    talk.status_enum = "blocked" if step == "block" else "working"
                case "wait":
                    learn(
                        await waits(client, manual_clock, **({"cursor": cursor} if cursor else {}))
                    )
                case "answer":
                    learn(
                        await says(
                            client,
                            manual_clock,
                            f"a{len(talk.said)}",
                            **({"cursor": cursor} if cursor else {"cursor": ""}),
                        )
                    )
            if not named:
                for message in talk.said:
                    message.pop("event_id", None)
    told = [one["message"] for one in talk.said]
    first = told.index(notifications[0]) if notifications else len(told)
    assert notifications == told[first:], (
        "once it has begun, nothing is missed and nothing comes twice"
    )
    if not any(step == "answer" for step in steps):
        assert first == 0
