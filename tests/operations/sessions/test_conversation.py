"""Reading a long conversation in pieces: nothing is lost, nothing is shown twice, every answer stays within its limit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devin_mcp.operations.results import json_size
from devin_mcp.operations.sessions.conversation import (
    Message,
    assign_event_ids,
    messages_after,
    newest,
)
from tests.conftest import Connect, ToolClient
from tests.upstream import Upstream, answer

ROW: dict[str, Any] = {
    "session_id": "devin-1",
    "status": "x",
    "status_enum": "blocked",
    "created_at": "x",
    "updated_at": "x",
}


def said(*texts: str) -> list[dict[str, Any]]:
    return [
        {"type": "devin_message", "event_id": f"e{place}", "message": text}
        for place, text in enumerate(texts)
    ]


async def read_all(client: ToolClient, **start: Any) -> str:
    """Follow `next` from the first message to the last, as a model would, and put the texts together."""
    arguments: dict[str, Any] = {"session_id": "devin-1", "after_event_id": "start", **start}
    whole = ""
    for _ in range(200):
        got = await client.ok("get_session", **arguments)
        whole += "".join(message["message"] for message in got["messages"])
        follow = re.search(
            r"after_event_id=(\S+?)(?:, from_char=(\d+))?(?: reads it on)?\.(?:\s|$)", got["next"]
        )
        if follow is None:
            return whole
        arguments = {
            "session_id": "devin-1",
            "after_event_id": follow[1],
            "from_char": int(follow[2] or 0),
        }
    raise AssertionError("reading never came to an end")


async def test_the_newest_twenty_are_shown_and_the_rest_is_counted(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("GET", ".*", answer(200, ROW | {"messages": said(*(f"m{n}" for n in range(25)))}))
    async with connect() as client:
        got = await client.ok("get_session", session_id="devin-1")
    assert [message["message"] for message in got["messages"]] == [f"m{n}" for n in range(5, 25)]
    assert got["messages_before"] == 5
    assert "after_event_id=start" in got["next"]


async def test_no_messages_may_be_asked_for(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", ".*", answer(200, ROW | {"messages": said("a", "b")}))
    async with connect() as client:
        got = await client.ok("get_session", session_id="devin-1", messages=0)
    assert (got["messages"], got["messages_before"]) == ([], 2)
    upstream.fail("GET", ".*", answer(200, ROW | {"messages": said("a", "b", "c", "d", "e")}))
    async with connect() as client:
        got = await client.ok("get_session", session_id="devin-1", messages=0, after_event_id="e1")
    assert (got["messages_before"], got["messages_after"]) == (2, 3)
    assert "after_event_id=e1" in got["next"]


async def test_reading_on_starts_behind_a_known_message(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("GET", ".*", *[answer(200, ROW | {"messages": said("a", "b", "c", "d")})] * 3)
    async with connect() as client:
        got = await client.ok("get_session", session_id="devin-1", after_event_id="e1", messages=1)
        assert [message["message"] for message in got["messages"]] == ["c"]
        assert got["messages_after"] == 1
        assert "no message of this session" in await client.error(
            "get_session", session_id="devin-1", after_event_id="e9"
        )
        assert "from_char goes with" in await client.error(
            "get_session", session_id="devin-1", after_event_id="start", from_char=3
        )


async def test_a_long_message_is_cut_marked_and_read_on(
    connect: Connect, upstream: Upstream
) -> None:
    texts = ["short", 'long "quoted" line\n' * 500, "end"]
    upstream.fail("GET", ".*", *[answer(200, ROW | {"messages": said(*texts)})] * 50)
    async with connect(result_limit=3000) as client:
        first = await client.ok("get_session", session_id="devin-1", after_event_id="e0")
        assert first["messages"][0]["truncated"] is True
        assert first["messages"][0]["length"] == len(texts[1])
        assert await read_all(client) == "".join(texts)


async def test_messages_without_ids_can_be_read_too(connect: Connect, upstream: Upstream) -> None:
    upstream.fail(
        "GET",
        ".*",
        *[
            answer(
                200,
                ROW
                | {
                    "messages": [
                        {"type": "devin_message", "message": "x" * 2500},
                        {"type": "strange"},
                    ]
                },
            )
        ]
        * 9,
    )
    async with connect(result_limit=2000) as client:
        assert await read_all(client) == "x" * 2500


async def test_a_huge_structured_output_is_read_in_pieces(
    connect: Connect, upstream: Upstream
) -> None:
    import json

    output = {"rows": [{"n": n, "text": 'a "b"'} for n in range(400)]}
    upstream.fail("GET", ".*", *[answer(200, ROW | {"structured_output": output})] * 50)
    async with connect(result_limit=4000) as client:
        whole, start = "", 0
        while True:
            got = await client.ok("get_session", session_id="devin-1", from_char=start)
            whole += got["structured_output"]["json"]
            follow = re.search(r"from_char=(\d+)", got["next"])
            if follow is None:
                break
            start = int(follow[1])
    assert json.loads(whole) == output


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.text(max_size=900), min_size=1, max_size=12), room=st.integers(200, 2500))
def test_windows_lose_nothing_and_keep_their_budget(texts: list[str], room: int) -> None:
    messages = assign_event_ids([Message(type="devin_message", message=text) for text in texts])
    whole, after, start = "", "start", 0
    for _ in range(2000):
        shown = messages_after(messages, after, start, 200, room)
        assert sum(json_size(message) + 1 for message in shown) <= max(room, 120)
        whole += "".join(message.message for message in shown)
        last = shown[-1]
        assert last.event_id is not None
        begin = start if last.event_id == after else 0
        if last.length is not None and begin + len(last.message) < last.length:
            after, start = last.event_id, begin + len(last.message)
            continue
        after, start = last.event_id, 0
        if after == messages[-1].event_id:
            break
    assert whole == "".join(texts)


@pytest.mark.parametrize("room", [150, 400, 4000])
def test_the_newest_message_is_cut_rather_than_left_out(room: int) -> None:
    messages = assign_event_ids(
        [Message(type="devin_message", message="x" * 1000) for _ in range(5)]
    )
    shown = newest(messages, 20, room)
    assert shown
    assert shown[-1].event_id == "#4"
    assert sum(json_size(message) + 1 for message in shown) <= room
