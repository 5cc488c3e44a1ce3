"""Waiting: one call per turn, nothing missed, nothing repeated, and no more requests for two hundred waiters than for one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, Era, ToolClient
from tests.upstream import Upstream, answer

BASE: dict[str, Any] = {"status": "x", "created_at": "x", "updated_at": "x"}


async def start(client: ToolClient, prompt: str = "p") -> str:
    return str((await client.ok("create_session", prompt=prompt))["session_id"])


def said(result: dict[str, Any], place: int = 0) -> list[str]:
    return [
        message["message"]
        for message in result["sessions"][place].get("messages", [])
        if message["type"] == "devin_message"
    ]


async def waiting(
    client: ToolClient, manual_clock: ManualClock, *steps: float, **arguments: Any
) -> dict[str, Any]:
    """Wait while the time passes in these steps."""
    return await advance_during(manual_clock, client.ok("wait_for_sessions", **arguments), *steps)


async def test_a_question_an_answer_and_the_result_are_one_call_each(
    connect: Connect, manual_clock: ManualClock, era: Era
) -> None:
    async with connect(era=era, manual_clock=manual_clock) as client:
        one = await start(client)
        asked = await waiting(client, manual_clock, 8, 8, session_ids=[one])
        assert asked["sessions"][0]["phase"] == "waiting"
        assert "strict" in said(asked)[0]
        assert asked["timed_out"] is False
        assert "devin_send_message" in asked["next"]
        answered = asyncio.ensure_future(
            client.ok("send_message", session_id=one, message="strict", max_wait_s=45)
        )
        await anyio.sleep(0.1)
        await manual_clock.advance(8, until_asleep=2)
        with anyio.fail_after(5):
            done = await answered
    assert done["delivered"] is True
    assert done["sessions"][0]["phase"] == "done"
    assert said(done)[0].startswith("Done")
    assert "pull/" in done["sessions"][0]["pull_requests"][0]["url"]
    assert done["timed_out"] is False
    assert "pull request" in done["next"]


async def test_a_message_that_cannot_be_found_again_loses_no_reply(
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
        later = await waiting(client, manual_clock, session_ids=["devin-1"], cursor=sent["cursor"])
    assert said(later) == ["Yes."]


async def test_the_same_words_said_before_do_not_bring_the_old_reply(
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
    assert said(sent) == ["Deleted."]
    assert sent["sessions"][0]["structured_output"] == {"n": 2}


async def test_a_delivered_message_is_no_error_because_of_its_length(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", ".*/message", answer(200, {"detail": "d" * 9000}))
    async with connect(result_limit=2000) as client:
        assert (await client.ok("send_message", session_id="devin-1", message="m"))[
            "delivered"
        ] is True


async def test_a_wait_just_after_a_message_does_not_ask_for_another(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    row = BASE | {"session_id": "devin-1", "status_enum": "blocked"}
    asked = [{"type": "devin_message", "event_id": "e0", "message": "Which?"}]
    told = [*asked, {"type": "user_message", "event_id": "e1", "message": "this"}]
    upstream.fail("POST", ".*/message", answer(200, None))
    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        *[answer(200, row | {"messages": asked})] * 2,
        answer(200, row | {"messages": told}),
        answer(
            200,
            row
            | {
                "messages": [*told, {"type": "devin_message", "event_id": "e2", "message": "Done."}]
            },
        ),
    )
    async with connect(manual_clock=manual_clock) as client:
        first = await waiting(client, manual_clock, session_ids=["devin-1"])
        await client.ok("send_message", session_id="devin-1", message="this")
        second = await waiting(
            client, manual_clock, 7, 7, session_ids=["devin-1"], cursor=first["cursor"]
        )
    assert said(second) == ["Done."]


async def test_one_that_cannot_be_read_does_not_hide_that_another_asks(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    asked = [{"type": "devin_message", "event_id": "e0", "message": "Which?"}]
    upstream.fail(
        "GET",
        "/v1/sessions/devin-1",
        answer(200, BASE | {"session_id": "devin-1", "status_enum": "blocked", "messages": asked}),
    )
    upstream.fail("GET", "/v1/sessions/devin-2", *[answer(500)] * 20)
    async with connect(manual_clock=manual_clock) as client:
        got = await waiting(client, manual_clock, session_ids=["devin-1", "devin-2"])
    assert said(got) == ["Which?"]
    assert got["timed_out"] is False
    assert "problem" in got["sessions"][1]


@pytest.mark.parametrize("talk", [["devin_message", "user_message"], ["initial_user_message"]])
async def test_a_turn_that_ends_without_words_is_not_waited_for_all_the_time(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, talk: list[str]
) -> None:
    said_so = [
        {"type": kind, "event_id": f"e{place}", "message": "x"} for place, kind in enumerate(talk)
    ]
    body = BASE | {"session_id": "devin-1", "status_enum": "finished", "messages": said_so}
    upstream.fail("GET", "/v1/sessions/.*", *[answer(200, body)] * 20)
    async with connect(manual_clock=manual_clock) as client:
        got = await waiting(client, manual_clock, 7, 7, session_ids=["devin-1"])
    assert got["timed_out"] is False
    assert "still at work" not in got["next"]


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
async def test_the_answer_fits_whatever_it_holds(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, count: int, limit: int
) -> None:
    talk = [
        {
            "type": "devin_message",
            "event_id": f"event-{'x' * 50}-{n}",
            "message": f"{n} " + "y" * 7500,
        }
        for n in range(6)
    ]
    ids = [f"devin-{n:032x}" for n in range(count)]
    for one in ids:
        body = BASE | {
            "session_id": one,
            "status_enum": "blocked",
            "title": "t" * 300,
            "messages": talk,
        }
        upstream.fail("GET", f"/v1/sessions/{one}", *[answer(200, body)] * 5)
    async with connect(manual_clock=manual_clock, result_limit=limit) as client:
        got = await waiting(client, manual_clock, session_ids=ids)
        assert len(json.dumps(got, separators=(",", ":"), ensure_ascii=False)) <= limit
        assert any(row.get("messages") for row in got["sessions"])
        again = await waiting(client, manual_clock, session_ids=ids, cursor=got["cursor"])
    assert again["cursor"] != got["cursor"], "reading gets on"


async def test_chained_calls_tell_each_thing_once(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        one = await start(client)
        first = await waiting(client, manual_clock, 8, 8, session_ids=[one])
        again = await waiting(client, manual_clock, session_ids=[one], cursor=first["cursor"])
        assert (again["sessions"][0].get("messages"), again["sessions"][0]["changed"]) == (None, [])
        assert again["timed_out"] is False, "nothing is at work, so nothing would come of itself"
        await client.ok("send_message", session_id=one, message="strict")
        last = await waiting(
            client,
            manual_clock,
            8,
            session_ids=[one.removeprefix("devin-")],
            cursor=again["cursor"],
        )
    assert len(said(last)) == 1
    assert set(last["sessions"][0]["changed"]) == {"phase", "messages", "pull_requests"}
    assert len(first["cursor"]) <= 16


async def test_the_cursor_outlives_the_server(connect: Connect, manual_clock: ManualClock) -> None:
    async with connect(manual_clock=manual_clock) as client:
        one = await start(client)
        first = await waiting(client, manual_clock, 8, 8, session_ids=[one])
    async with connect(manual_clock=manual_clock) as client:
        second = await waiting(client, manual_clock, session_ids=[one], cursor=first["cursor"])
    assert second["sessions"][0]["changed"] == []


async def test_waiting_for_some_forgets_nothing_of_the_others(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        one, two = await start(client, "sandbox:quick"), await start(client, "sandbox:quick")
        both = await waiting(client, manual_clock, 8, 8, session_ids=[one, two], until="all")
        some = await waiting(
            client, manual_clock, 8, session_ids=[one], cursor=both["cursor"], max_wait_s=1
        )
        again = await waiting(
            client, manual_clock, 8, session_ids=[one, two], cursor=some["cursor"], max_wait_s=1
        )
    assert said(both, 0)
    assert said(both, 1)
    assert not said(again, 0)
    assert not said(again, 1)
    assert len(again["cursor"]) <= 2 * 16


async def test_what_devin_calls_wrong_is_not_waited_out(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail(
        "GET",
        "/v1/sessions/devin-odd",
        *[answer(422, {"detail": [{"loc": ["path"], "msg": "bad id"}]})] * 9,
    )
    async with connect(manual_clock=manual_clock) as client:
        with anyio.fail_after(5):
            text = await client.error("wait_for_sessions", session_ids=["devin-odd"])
    assert "bad id" in text
    assert upstream.count("GET") == 1


async def test_any_returns_with_the_first_and_all_with_the_last(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        quick, slow = await start(client, "sandbox:quick"), await start(client, "sandbox:forever")
        some = await waiting(client, manual_clock, 8, 8, session_ids=[slow, quick])
        assert [row["phase"] for row in some["sessions"]] == ["working", "waiting"]
        assert "For the others" in some["next"]
        rest = await waiting(
            client,
            manual_clock,
            6,
            10,
            20,
            30,
            session_ids=[slow, quick],
            cursor=some["cursor"],
            max_wait_s=20,
        )
        assert rest["timed_out"] is True, "what was told already does not count again"
        both = await waiting(
            client, manual_clock, 6, 6, 40, session_ids=[slow, quick], until="all", max_wait_s=20
        )
        assert both["timed_out"] is True
        await client.ok("terminate_session", session_id=slow)
        over = await waiting(
            client, manual_clock, session_ids=[slow, quick], until="all", cursor=both["cursor"]
        )
    assert over["timed_out"] is False
    assert over["sessions"][0]["phase"] == "ended"


async def test_the_end_of_a_turn_waits_for_its_words(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    row = BASE | {"session_id": "devin-1", "status_enum": "blocked"}
    prompt = {"type": "initial_user_message", "event_id": "e0", "message": "p"}
    spoken = {"type": "devin_message", "event_id": "e1", "message": "Which?"}
    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        answer(200, row | {"status_enum": "working", "messages": []}),
        answer(200, row | {"messages": [prompt]}),
        answer(200, row | {"messages": [prompt, spoken]}),
    )
    async with connect(manual_clock=manual_clock) as client:
        got = await waiting(client, manual_clock, 7, 7, 7, session_ids=["devin-1"])
    assert said(got) == ["Which?"]


async def test_the_output_of_the_turn_before_is_not_taken_for_the_new_one(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    row = BASE | {"session_id": "devin-1", "structured_output": {"n": 1}}
    talk = [{"type": "devin_message", "event_id": "e0", "message": "first"}]
    later = [
        *talk,
        {"type": "user_message", "event_id": "e1", "message": "more"},
        {"type": "devin_message", "event_id": "e2", "message": "second"},
    ]
    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        answer(200, row | {"status_enum": "blocked", "messages": talk}),
        answer(200, row | {"status_enum": "working", "messages": []}),
        answer(
            200, row | {"status_enum": "blocked", "structured_output": {"n": 2}, "messages": later}
        ),
    )
    async with connect(manual_clock=manual_clock) as client:
        first = await waiting(client, manual_clock, session_ids=["devin-1"])
        second = await waiting(
            client, manual_clock, 7, 7, session_ids=["devin-1"], cursor=first["cursor"]
        )
    assert first["sessions"][0]["structured_output"] == {"n": 1}
    assert second["sessions"][0]["structured_output"] == {"n": 2}
    assert said(second) == ["second"]


async def test_unknown_ids_are_named_and_the_others_waited_for(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        one = await start(client, "sandbox:quick")
        got = await waiting(client, manual_clock, 8, 8, session_ids=["devin-nope", one])
        assert got["sessions"][0] == {
            "session_id": "devin-nope",
            "problem": "Devin does not know this id",
        }
        assert said(got, 1)
        assert "404" in await client.error("wait_for_sessions", session_ids=["devin-nope"])
        for wrong in ("x", "....", "A" * 13 + ".B", "AAAAAAAAAzAAA"):
            assert "cursor is not one" in await client.error(
                "wait_for_sessions", session_ids=[one], cursor=wrong
            )
        assert "more than 16" in await client.error(
            "wait_for_sessions", session_ids=[f"devin-{n}" for n in range(17)]
        )


async def test_trouble_with_devin_is_outlived_and_a_wait_without_any_answer_says_so(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        one = await start(client, "sandbox:quick")
        upstream.fail("GET", "/v1/sessions/.*", answer(500), answer(500))
        assert said(await waiting(client, manual_clock, 13, 25, session_ids=[one]))
        upstream.fail("GET", "/v1/sessions/.*", *[answer(500)] * 9)
        task = asyncio.ensure_future(
            client.error("wait_for_sessions", session_ids=[one], max_wait_s=10)
        )
        await anyio.sleep(0.1)
        await manual_clock.advance(11, until_asleep=2)
        assert "could not be asked" in await task


async def test_progress_tells_of_changes_and_cancelling_ends_the_looking(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock, era: Era
) -> None:
    notifications: list[tuple[float, str]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        notifications.append((progress, message or ""))

    async with connect(era=era, manual_clock=manual_clock) as client:
        one = await start(client, "sandbox:forever")
        task = asyncio.ensure_future(
            client.sdk.call_tool(
                "devin_wait_for_sessions", {"session_ids": [one]}, progress_callback=hear
            )
        )
        await anyio.sleep(0.1)
        await manual_clock.advance(8, until_asleep=2)
        with anyio.fail_after(3):
            while not notifications:  # noqa: ASYNC110 - the client's own task calls back
                await anyio.sleep(0.01)
        task.cancel()
        await manual_clock.asleep(0)
        looks = len(upstream.requests)
        await anyio.sleep(0.05)
        assert len(upstream.requests) == looks
    assert notifications == [(1, "sandbox:forever… is working")]


async def test_two_hundred_waiters_on_sixteen_sessions_cost_no_more_than_one(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        ids = [await start(client, "sandbox:forever") for _ in range(16)]
        before = len(upstream.requests)
        waits = [
            asyncio.ensure_future(client.ok("wait_for_sessions", session_ids=ids, max_wait_s=20))
            for _ in range(200)
        ]
        await manual_clock.asleep(16 + 200)
        for step in (7, 7, 7):
            await manual_clock.advance(step, until_asleep=16 + 200)
            await anyio.sleep(0.3)
        got = await asyncio.gather(*waits)
    assert all(one["timed_out"] for one in got)
    assert len({one["cursor"] for one in got}) == 1
    assert len(got[0]["cursor"]) <= 16 * 16
    assert len(upstream.requests) - before <= 16 * 5


async def test_what_does_not_fit_is_read_on_and_never_lost(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    texts = [f"{n}:" + "x" * (6000 if n == 3 else 400) for n in range(12)]
    talk = [
        {"type": "devin_message", "event_id": f"e{n}", "message": text}
        for n, text in enumerate(texts)
    ]
    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        *[answer(200, BASE | {"session_id": "devin-1", "status_enum": "blocked", "messages": talk})]
        * 30,
    )
    notifications, cursor = "", None
    async with connect(manual_clock=manual_clock, result_limit=3000) as client:
        for _ in range(30):
            got = await client.ok(
                "wait_for_sessions",
                session_ids=["devin-1"],
                **({"cursor": cursor} if cursor else {}),
            )
            assert len(json.dumps(got, separators=(",", ":"))) <= 3000
            cursor = got["cursor"]
            messages = got["sessions"][0].get("messages", [])
            notifications += "".join(one["message"] for one in messages)
            if messages and messages[-1].get("truncated"):
                assert f"from_char={len(messages[-1]['message'])}" in got["next"]
                notifications += texts[3][len(messages[-1]["message"]) :]
            if not messages:
                break
    assert notifications == "".join(texts)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.sampled_from(["say", "hide", "show", "wait", "user", "block", "work"]),
        min_size=3,
        max_size=14,
    )
)
async def test_whatever_happens_between_the_waits_every_word_comes_once_and_in_order(
    connect: Connect, upstream: Upstream, steps: list[str]
) -> None:
    talk: list[dict[str, Any]] = []
    state = {"status_enum": "blocked", "visible": True}
    notifications: list[str] = []
    cursor = None
    manual_clock = ManualClock()

    async def serve(exchange: Any) -> None:
        body = BASE | {
            "session_id": "devin-1",
            "status_enum": state["status_enum"],
            "messages": talk if state["visible"] else [],
        }
        await answer(200, body)(exchange)

    upstream._faults.clear()
    upstream.fail("GET", "/v1/sessions/devin-1", *[serve] * 200)
    async with connect(manual_clock=manual_clock) as client:
        for step in [*steps, "show", "block", "say", "wait", "wait"]:
            if step in {"say", "user"}:
                kind = "devin_message" if step == "say" else "user_message"
                talk.append({"type": kind, "event_id": f"e{len(talk)}", "message": f"m{len(talk)}"})
            elif step in {"hide", "show"}:
                state["visible"] = step == "show"
            elif step in {"block", "work"}:
                state["status_enum"] = "blocked" if step == "block" else "working"
            else:
                arguments = {
                    "session_ids": ["devin-1"],
                    "max_wait_s": 1,
                    **({"cursor": cursor} if cursor else {}),
                }
                got = await waiting(client, manual_clock, 2, 70, **arguments)
                cursor = got["cursor"]
                notifications += [one["message"] for one in got["sessions"][0].get("messages", [])]
    assert notifications == [one["message"] for one in talk]


async def test_a_session_that_begins_while_pages_are_turned_shows_none_twice(
    connect: Connect, upstream: Upstream
) -> None:
    rows = [BASE | {"session_id": f"devin-{n}", "status_enum": "blocked"} for n in range(120)]
    newer = [BASE | {"session_id": "devin-new", "status_enum": "working"}, *rows]
    upstream.fail(
        "GET",
        "/v1/sessions",
        answer(200, {"sessions": rows[:100]}),
        answer(200, {"sessions": newer[100:]}),
    )
    async with connect() as client:
        found = await client.ok("list_sessions", phase=["waiting"], limit=200)
    assert [row["session_id"] for row in found["sessions"]] == [f"devin-{n}" for n in range(120)]


async def test_what_was_found_before_trouble_is_told_with_where_to_go_on(
    connect: Connect, upstream: Upstream
) -> None:
    rows = [BASE | {"session_id": f"devin-{n}", "status_enum": "blocked"} for n in range(100)]
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": rows}), answer(500))
    async with connect() as client:
        found = await client.ok("list_sessions", phase=["waiting"], limit=200)
    assert (len(found["sessions"]), "next_cursor" in found) == (100, True)


async def test_sessions_in_a_phase_are_found_across_pages(
    connect: Connect, upstream: Upstream
) -> None:
    rows = [
        BASE | {"session_id": f"devin-{n}", "status_enum": "blocked" if n % 40 == 7 else "working"}
        for n in range(250)
    ]

    async def page(exchange: Any) -> None:
        query = dict(part.split("=") for part in exchange.seen.query.split("&"))
        first = int(query["offset"])
        await answer(200, {"sessions": rows[first : first + int(query["limit"])]})(exchange)

    upstream.fail("GET", "/v1/sessions", *[page] * 30)
    async with connect() as client:
        found = await client.ok("list_sessions", phase=["waiting"])
        assert [row["session_id"] for row in found["sessions"]] == [
            f"devin-{n}" for n in range(7, 250, 40)
        ]
        assert found["scanned"] == 250
        assert "next_cursor" not in found
        first = await client.ok("list_sessions", phase=["waiting"], limit=2)
        second = await client.ok(
            "list_sessions", phase=["waiting"], limit=2, cursor=first["next_cursor"]
        )
        assert [row["session_id"] for row in [*first["sessions"], *second["sessions"]]] == [
            f"devin-{n}" for n in (7, 47, 87, 127)
        ]
        assert (await client.ok("list_sessions", phase=["sleeping"]))["sessions"] == []
    async with connect(result_limit=2000) as client:
        upstream.fail("GET", "/v1/sessions", *[page] * 60)
        ids: list[str] = []
        cursor: str | None = None
        while True:
            got = await client.ok("list_sessions", phase=["working"], limit=100, cursor=cursor)
            ids += [row["session_id"] for row in got["sessions"]]
            cursor = got.get("next_cursor")
            if cursor is None:
                break
    assert ids == [row["session_id"] for row in rows if row["status_enum"] == "working"]
