"""The wait cursor: nothing is missed and nothing is repeated, on any replica."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clock import ManualClock
from tests.conftest import Connect
from tests.operations.waiting.conversations import BASE, devin_messages_of, wait
from tests.upstream import Upstream, answer


async def test_cursor_returns_each_change_once(connect: Connect, manual_clock: ManualClock) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        first = await wait(client, manual_clock, 8, 8, session_ids=[session_id])
        again = await wait(client, manual_clock, session_ids=[session_id], cursor=first["cursor"])
        assert (again["sessions"][0].get("messages"), again["sessions"][0]["changed"]) == (None, [])
        assert again["timed_out"] is False, "nothing is at work, so nothing would come of itself"
        await client.ok("send_message", session_id=session_id, message="strict")
        last = await wait(
            client,
            manual_clock,
            8,
            session_ids=[session_id.removeprefix("devin-")],
            cursor=again["cursor"],
        )
    assert len(devin_messages_of(last)) == 1
    assert set(last["sessions"][0]["changed"]) == {"phase", "messages", "pull_requests"}
    assert len(first["cursor"]) <= 16


async def test_cursor_is_valid_after_a_restart(connect: Connect, manual_clock: ManualClock) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session()
        first = await wait(client, manual_clock, 8, 8, session_ids=[session_id])
    async with connect(manual_clock=manual_clock) as client:
        second = await wait(client, manual_clock, session_ids=[session_id], cursor=first["cursor"])
    assert second["sessions"][0]["changed"] == []


async def test_cursor_keeps_the_sessions_not_waited_for(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        first_id, second_id = (
            await client.create_session("sandbox:quick"),
            await client.create_session("sandbox:quick"),
        )
        both = await wait(
            client, manual_clock, 8, 8, session_ids=[first_id, second_id], until="all"
        )
        some = await wait(
            client, manual_clock, 8, session_ids=[first_id], cursor=both["cursor"], max_wait_s=1
        )
        again = await wait(
            client,
            manual_clock,
            8,
            session_ids=[first_id, second_id],
            cursor=some["cursor"],
            max_wait_s=1,
        )
    assert devin_messages_of(both, 0)
    assert devin_messages_of(both, 1)
    assert not devin_messages_of(again, 0)
    assert not devin_messages_of(again, 1)
    assert len(again["cursor"]) <= 2 * 16


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
async def test_waits_return_every_message_once_and_in_order(
    connect: Connect, upstream: Upstream, steps: list[str]
) -> None:
    messages: list[dict[str, Any]] = []
    state = {"status_enum": "blocked", "visible": True}
    received: list[str] = []
    cursor = None
    manual_clock = ManualClock()

    async def serve(exchange: Any) -> None:
        body = BASE | {
            "session_id": "devin-1",
            "status_enum": state["status_enum"],
            "messages": messages if state["visible"] else [],
        }
        await answer(200, body)(exchange)

    upstream._faults.clear()
    upstream.fail("GET", "/v1/sessions/devin-1", *[serve] * 200)
    async with connect(manual_clock=manual_clock) as client:
        for step in [*steps, "show", "block", "say", "wait", "wait"]:
            if step in {"say", "user"}:
                kind = "devin_message" if step == "say" else "user_message"
                messages.append(
                    {"type": kind, "event_id": f"e{len(messages)}", "message": f"m{len(messages)}"}
                )
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
                result = await wait(client, manual_clock, 2, 70, **arguments)
                cursor = result["cursor"]
                received += [
                    message["message"] for message in result["sessions"][0].get("messages", [])
                ]
    assert received == [message["message"] for message in messages]
