"""The end of a turn, and the edges of a wait: what is ready is told, what is not there yet is not invented."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, ToolClient
from tests.fake_session import FakeSession
from tests.upstream import Upstream, answer, late


def words(result: dict[str, Any], place: int = 0) -> list[str]:
    return [message["message"] for message in result["sessions"][place].get("messages", [])]


async def waits(
    client: ToolClient,
    manual_clock: ManualClock,
    *steps: float,
    until_asleep: int = 2,
    **arguments: Any,
) -> dict[str, Any]:
    """Wait while the time passes in these steps, once the waiter and the pollers sleep."""
    given = {"session_ids": ["devin-1"], **arguments}
    return await advance_during(
        manual_clock, client.ok("wait_for_sessions", **given), *steps, until_asleep=until_asleep
    )


async def test_words_of_the_turn_that_could_be_read_before_its_end_are_not_its_last(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """v1 says blocked before the last message is readable, also where earlier ones were (v1.md §3.6)."""
    talk = FakeSession().at(upstream)
    talk.devin_says("I am reading the code.")
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(client.ok("wait_for_sessions", session_ids=["devin-1"]))
        await manual_clock.asleep(2)
        talk.status_enum = "blocked"
        await manual_clock.advance(7, until_asleep=2)
        await anyio.sleep(0.05)
        assert not waiting.done()
        talk.devin_says("Strict or lenient?")
        await manual_clock.advance(7, until_asleep=2)
        with anyio.fail_after(5):
            got = await waiting
    assert words(got) == ["I am reading the code.", "Strict or lenient?"]


async def test_a_turn_that_said_all_before_its_end_is_not_waited_for_long(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    talk = FakeSession().at(upstream)
    talk.devin_says("Which?")
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(client.ok("wait_for_sessions", session_ids=["devin-1"]))
        await manual_clock.asleep(2)
        talk.status_enum = "blocked"
        for _ in range(3):
            if not waiting.done():
                await manual_clock.advance(6, until_asleep=2)
        with anyio.fail_after(5):
            got = await waiting
    assert (words(got), got["timed_out"]) == (["Which?"], False)


async def test_a_wait_that_goes_on_knows_that_the_turn_may_just_have_ended(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """The cursor says that it was at work, so its last words may be up to a minute late; nobody here saw the end."""
    talk = FakeSession().at(upstream)
    talk.user_says("Mend it")
    async with connect(manual_clock=manual_clock) as client:
        first = await waits(client, manual_clock, 2, max_wait_s=1)
        talk.status_enum = "blocked"
        waiting = asyncio.ensure_future(
            client.ok("wait_for_sessions", session_ids=["devin-1"], cursor=first["cursor"])
        )
        for _ in range(4):
            await manual_clock.advance(6, until_asleep=2)
        assert not waiting.done()
        talk.devin_says("Mended.")
        await manual_clock.advance(6, until_asleep=2)
        with anyio.fail_after(5):
            got = await waiting
    assert words(got) == ["Mended."]


async def test_one_that_asks_is_told_though_another_gives_no_answer(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    talk, gate = FakeSession(status_enum="blocked").at(upstream), asyncio.Event()
    talk.devin_says("Which?")
    upstream.fail("GET", "/v1/sessions/devin-2", late(gate))
    async with connect(manual_clock=manual_clock) as client:
        got = await waits(
            client, manual_clock, 2.5, session_ids=["devin-1", "devin-2"], until_asleep=2
        )
        gate.set()
    assert (words(got), got["timed_out"]) == (["Which?"], False)
    assert "has not answered" in got["sessions"][1]["problem"]
    assert "For the others" in got["next"]
    assert got["cursor"].count(".") == 0


async def test_a_wait_for_one_that_gives_no_answer_ends_soon_after_its_time(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", "/v1/sessions/devin-1", late(gate))
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(
            client.error("wait_for_sessions", session_ids=["devin-1"], max_wait_s=3)
        )
        for step in (2, 2, 10):
            await manual_clock.advance(step)
        with anyio.fail_after(5):
            assert "could not be asked" in await waiting
        gate.set()


async def test_any_word_is_enough_where_it_was_asked_for(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    talk = FakeSession().at(upstream)
    async with connect(manual_clock=manual_clock) as client:
        for wait_for, ends in (("attention", False), ("message", True)):
            waiting = asyncio.ensure_future(
                client("wait_for_sessions", session_ids=["devin-1"], wait_for=wait_for)
            )
            await manual_clock.asleep(2)
            talk.devin_says("Still reading.")
            await manual_clock.advance(7, until_asleep=2)
            await anyio.sleep(0.1)
            assert waiting.done() is ends
            waiting.cancel()


async def test_who_may_not_look_is_told_and_the_others_are_waited_for(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    talk = FakeSession().at(upstream)
    upstream.fail("GET", "/v1/sessions/devin-2", *[answer(403, {"detail": "Not yours"})] * 9)
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(
            client.ok("wait_for_sessions", session_ids=["devin-1", "devin-2"])
        )
        await manual_clock.asleep(2)
        talk.status_enum = "finished"
        talk.devin_says("Done.")
        await manual_clock.advance(7, until_asleep=2)
        with anyio.fail_after(5):
            got = await waiting
    assert (got["sessions"][0]["phase"], "may not do that" in got["sessions"][1]["problem"]) == (
        "done",
        True,
    )
    assert upstream.count("GET", "/v1/sessions/devin-2") == 1


async def test_the_output_is_told_when_the_turn_has_ended_and_once(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    talk = FakeSession(more={"structured_output": {"n": 1}}).at(upstream)
    async with connect(manual_clock=manual_clock) as client:
        working = await waits(client, manual_clock, 2, max_wait_s=1)
        assert "structured_output" not in working["sessions"][0]
        talk.status_enum = "blocked"
        talk.devin_says("Done.")
        ended = await waits(client, manual_clock, 7, cursor=working["cursor"])
        assert ended["sessions"][0]["structured_output"] == {"n": 1}
        again = await waits(client, manual_clock, 50, cursor=ended["cursor"])
    assert "structured_output" not in again["sessions"][0]


@pytest.mark.parametrize("refused", [0, 15])
async def test_sixteen_come_through_the_smallest_answer_call_by_call(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, refused: int
) -> None:
    ids = [f"devin-{n:032x}" for n in range(16)]
    for place, one in enumerate(ids):
        if place < refused:
            upstream.fail(
                "GET",
                f"/v1/sessions/{one}",
                *[answer(403, {"detail": "You do not have the permission to see it " * 9})] * 99,
            )
            continue
        talk = FakeSession(
            one,
            "blocked",
            more={
                "pull_request": {"url": f"https://github.com/acme/shop-api-service/pull/{place}"}
            },
        )
        talk.at(upstream).devin_says(f"Done with {place}.")
    told: list[str] = []
    pulls, cursor = set(), None
    async with connect(manual_clock=manual_clock, result_limit=2000) as client:
        for _ in range(16):
            given = {"session_ids": ids, "max_wait_s": 1, **({"cursor": cursor} if cursor else {})}
            got = await waits(client, manual_clock, 2, 2, until_asleep=17 - refused, **given)
            cursor = got["cursor"]
            for place, row in enumerate(got["sessions"]):
                told += words(got, place)
                pulls.add(row.get("pull_requests", [{}])[0].get("url"))
            assert len(got["sessions"]) + got.get("left_out", 0) == 16
    assert sorted(told) == sorted(f"Done with {place}." for place in range(refused, 16))
    assert len(pulls - {None}) == 16 - refused


async def test_what_a_colleague_wrote_can_be_read_on_and_the_task_need_not_be(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    talk = FakeSession(status_enum="blocked").at(upstream)
    talk.said.append(
        {"type": "initial_user_message", "event_id": "task", "message": "the task " * 50}
    )
    talk.user_says("a colleague's words " * 80)
    talk.devin_says("Which?")
    async with connect(manual_clock=manual_clock) as client:
        got = await waits(client, manual_clock)
        assert [one.get("truncated") for one in got["sessions"][0]["messages"]] == [
            True,
            True,
            None,
        ]
        assert "after_event_id=devin-1-e1, from_char=1000" in got["next"]
        del talk.said[1]
        again = await waits(client, manual_clock)
    assert again["next"].startswith("Devin waits for you")


async def test_a_session_that_is_lost_on_the_way_is_not_called_at_work(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(
            client.ok("delegate_task", prompt="sandbox:forever", max_wait_s=45)
        )
        await upstream.until("GET", "/v1/sessions/devin-.*")
        await manual_clock.asleep(2)
        upstream.fail("GET", "/v1/sessions/.*", *[answer(404, {})] * 9)
        for step in (6.5, 12.5, 24.5):  # 5, 10 and 20 seconds, and what chance adds
            await manual_clock.advance(step, until_asleep=2)
        with anyio.fail_after(5):
            got = await waiting
    assert got["sessions"][0]["problem"] == "Devin does not know this id"
    assert got["session_id"] in upstream.organization.sessions
    assert "at work" not in got["next"]
