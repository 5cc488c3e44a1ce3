"""Answering Devin and waiting for what comes of it, in one call and over many: nothing missed, nothing repeated."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
from hypothesis import HealthCheck, settings
from hypothesis import given as for_any
from hypothesis import strategies as st

from tests.clock import PacedClock, while_time_passes
from tests.conftest import Caller, Connect, Era
from tests.fake_session import FakeSession
from tests.upstream import Upstream, answer, late


def words(result: dict[str, Any], place: int = 0) -> list[str]:
    return [message["message"] for message in result["sessions"][place].get("messages", [])]


async def waits(call: Caller, pace: PacedClock, **arguments: Any) -> dict[str, Any]:
    given = {"session_ids": ["devin-1"], "max_wait_s": 1, **arguments}
    return await while_time_passes(pace, call.ok("wait_for_sessions", **given), 2, 70)


async def says(call: Caller, pace: PacedClock, message: str, **arguments: Any) -> dict[str, Any]:
    given = {"session_id": "devin-1", "message": message, "max_wait_s": 1, **arguments}
    return await while_time_passes(pace, call.ok("send_message", **given), 2, 70, until_asleep=2)


async def test_a_turn_that_takes_longer_than_the_call_is_told_once(
    connect: Connect, pace: PacedClock, era: Era
) -> None:
    async with connect(era=era, pace=pace) as call:
        one = (await call.ok("create_session", prompt="Mend it"))["session_id"]
        asked = await while_time_passes(pace, call.ok("wait_for_sessions", session_ids=[one]), 8, 8)
        told = words(asked)
        sent = await while_time_passes(
            pace,
            call.ok(
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
        done = await while_time_passes(
            pace, call.ok("wait_for_sessions", session_ids=[one], cursor=sent["cursor"]), 8, 8
        )
        told += words(done)
    assert [text[:7] for text in told] == ["Mend it", "I have ", "strict", "Done: t"]
    assert done["sessions"][0]["phase"] == "done"


async def test_what_devin_said_before_the_answer_was_sent_is_not_lost(
    connect: Connect, devin: Upstream, pace: PacedClock
) -> None:
    talk = FakeSession(status_enum="blocked").at(devin)
    talk.devin("Seen.")
    async with connect(pace=pace) as call:
        first = await waits(call, pace)
        talk.devin("Budget exceeded, stop?")
        sent = await says(call, pace, "go", cursor=first["cursor"])
        talk.devin("Went.")
        talk.status_enum = "blocked"
        last = await waits(call, pace, cursor=sent["cursor"])
    assert words(first) + words(sent) + words(last) == [
        "Seen.",
        "Budget exceeded, stop?",
        "go",
        "Went.",
    ]


async def test_without_a_cursor_only_the_answer_is_told(
    connect: Connect, devin: Upstream, pace: PacedClock
) -> None:
    talk = FakeSession(status_enum="blocked").at(devin)
    talk.devin("Seen.")
    async with connect(pace=pace) as call:
        sent = await says(call, pace, "go")
        talk.devin("Went.")
        talk.status_enum = "blocked"
        last = await waits(call, pace, cursor=sent["cursor"])
    assert words(sent) + words(last) == ["Went."]


async def test_the_same_words_said_long_ago_do_not_bring_the_old_reply(
    connect: Connect, devin: Upstream, pace: PacedClock
) -> None:
    """Nothing can be read while Devin works, so all there is to tell the two apart is when they were said."""
    talk = FakeSession(readable=0).at(devin)
    talk.user("go on", timestamp="2020-01-01T00:00:00Z")
    talk.devin("OLD reply", timestamp="2020-01-01T00:01:00Z")
    async with connect(pace=pace) as call:
        sending = asyncio.ensure_future(
            call.ok("send_message", session_id="devin-1", message="go on", max_wait_s=40)
        )
        await devin.until("GET", "/v1/sessions/devin-1", 2)
        await pace.asleep(2)
        talk.status_enum, talk.readable = (
            "blocked",
            2,
        )  # its turn has ended, and the last words are late
        await pace.pass_(7, until_asleep=2)
        talk.devin("NEW reply")
        talk.readable = None
        await pace.pass_(7, until_asleep=2)
        with anyio.fail_after(5):
            sent = await sending
    assert words(sent)[-1] == "NEW reply"
    assert "OLD reply" not in words(sent)


async def test_knowing_how_it_stood_before_takes_no_more_than_its_time(
    connect: Connect, devin: Upstream, pace: PacedClock
) -> None:
    gate = asyncio.Event()
    devin.fail("GET", "/v1/sessions/devin-1", late(gate))
    talk = FakeSession(status_enum="blocked").at(devin)
    async with connect(pace=pace, deadline=7) as call:
        sent = await call.ok("send_message", session_id="devin-1", message="go", max_wait_s=1)
        gate.set()
    assert (sent["delivered"], [one["message"] for one in talk.said]) == (True, ["go"])


async def test_waiting_that_cannot_look_says_why_and_what_was_done_stands(
    connect: Connect, devin: Upstream, pace: PacedClock
) -> None:
    devin.fail("POST", ".*/message", answer(200, None))
    devin.fail("GET", "/v1/sessions/devin-1", answer(500), *[answer(403, {"detail": "no"})] * 9)
    async with connect(pace=pace) as call:
        sent = await call.ok("send_message", session_id="devin-1", message="go", max_wait_s=5)
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
    connect: Connect, devin: Upstream, steps: list[str], named: bool
) -> None:
    """With or without ids on the messages, and with a limit that cuts and leaves out."""
    devin._faults.clear()
    talk, pace, heard, cursor = FakeSession().at(devin), PacedClock(), [], None

    def learn(got: dict[str, Any]) -> None:
        nonlocal cursor
        cursor = got["cursor"]
        heard.extend(words(got))

    async with connect(pace=pace, result_limit=2000) as call:
        for step in [*steps, "show", "block", "devin", *["wait"] * 6]:
            match step:
                case "devin":
                    talk.devin(f"m{len(talk.said)} " + "x" * 150)
                case "hide" | "show":
                    talk.readable = 0 if step == "hide" else None
                case "block" | "work":
                    talk.status_enum = "blocked" if step == "block" else "working"
                case "wait":
                    learn(await waits(call, pace, **({"cursor": cursor} if cursor else {})))
                case "answer":
                    learn(
                        await says(
                            call,
                            pace,
                            f"a{len(talk.said)}",
                            **({"cursor": cursor} if cursor else {"cursor": ""}),
                        )
                    )
            if not named:
                for message in talk.said:
                    message.pop("event_id", None)
    told = [one["message"] for one in talk.said]
    first = told.index(heard[0]) if heard else len(told)
    assert heard == told[first:], "once it has begun, nothing is missed and nothing comes twice"
    if not any(step == "answer" for step in steps):
        assert first == 0
