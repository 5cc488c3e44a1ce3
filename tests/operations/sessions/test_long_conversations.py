"""Conversations of more than one page on v3: reading on costs one request."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.conftest import Connect, ToolClient
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 returns all messages with the session.")


class LongSession:
    """A session of the sandbox with as many messages as a test wants."""

    def __init__(self, upstream: Upstream, count: int) -> None:
        self._now = upstream.sandbox.clock.now
        self.simulated = upstream.organization.start_session({"prompt": "task"})
        self.session_id: str = self.simulated.session_id
        self.say(count - 1)

    def say(self, count: int) -> None:
        """Add so many messages of Devin's."""
        for _ in range(count):
            number = len(self.simulated.messages)
            message = {
                "type": "devin_message",
                "event_id": f"e{number}",
                "message": f"m{number}",
                "timestamp": "2026-01-01T00:00:00Z",
            }
            self.simulated.messages.append((self._now(), message))


def cursors(upstream: Upstream) -> list[str | None]:
    """The cursor of each request for messages."""
    return [
        parse_qs(request.query).get("after", [None])[0]
        for request in upstream.sent("list_messages")
    ]


async def newest(client: ToolClient, session_id: str, **arguments: Any) -> tuple[str, int]:
    """The newest message, and the number of messages in all."""
    view = await client.ok("get_session", session_id=session_id, messages=1, **arguments)
    return view["messages"][-1]["message"], view.get("messages_before", 0) + 1


async def test_long_conversation_is_read_page_by_page_once(
    connect: Connect, upstream: Upstream
) -> None:
    session = LongSession(upstream, 450)
    async with connect() as client:
        assert await newest(client, session.session_id) == ("m449", 450)
        assert len(cursors(upstream)) == 3
        session.say(2)
        assert await newest(client, session.session_id) == ("m451", 452)
        assert len(cursors(upstream)) == 4
        assert await newest(client, session.session_id) == ("m451", 452)
    assert len(cursors(upstream)) == 5
    assert cursors(upstream)[2] == cursors(upstream)[3] == cursors(upstream)[4]


async def test_conversation_that_grows_by_pages_is_read_to_its_end(
    connect: Connect, upstream: Upstream
) -> None:
    session = LongSession(upstream, 250)
    async with connect() as client:
        await newest(client, session.session_id)
        session.say(400)
        assert await newest(client, session.session_id) == ("m649", 650)
        assert len(cursors(upstream)) == 2 + 3
        await newest(client, session.session_id)
    assert len(cursors(upstream)) == 2 + 3 + 1


async def test_every_message_of_a_long_conversation_can_be_read(
    connect: Connect, upstream: Upstream
) -> None:
    session = LongSession(upstream, 450)
    texts: list[str] = []
    arguments: dict[str, Any] = {"after_event_id": "start", "messages": 200}
    async with connect() as client:
        for _ in range(3):
            view = await client.ok("get_session", session_id=session.session_id, **arguments)
            texts += [message["message"] for message in view["messages"]]
            arguments["after_event_id"] = view["messages"][-1]["event_id"]
    assert texts == ["task", *(f"m{number}" for number in range(1, 450))]
    assert "messages_after" not in view
    assert len(cursors(upstream)) == 3 + 1 + 1


@pytest.mark.parametrize("status", [400, 422])
async def test_cursor_that_is_not_accepted_any_more_reads_anew(
    connect: Connect, upstream: Upstream, status: int
) -> None:
    session = LongSession(upstream, 250)
    async with connect() as client:
        await newest(client, session.session_id)
        upstream.fail_operation("list_messages", answer(status, {"detail": "Invalid cursor"}))
        session.say(1)
        assert await newest(client, session.session_id) == ("m250", 251)
    assert cursors(upstream)[3:] == cursors(upstream)[:2]


async def test_repeated_cursor_ends_the_conversation(connect: Connect, upstream: Upstream) -> None:
    session = LongSession(upstream, 450)
    upstream.organization.words.add("repeat-cursor")
    async with connect() as client:
        assert await newest(client, session.session_id) == ("m399", 400)
        assert len(cursors(upstream)) == 2
        upstream.organization.words.clear()
        assert await newest(client, session.session_id) == ("m449", 450)


async def test_pages_that_overlap_repeat_no_message(connect: Connect, upstream: Upstream) -> None:
    rows = [
        {"event_id": f"e{number}", "source": "devin", "message": f"m{number}", "created_at": 1}
        for number in range(4)
    ]
    upstream.fail_operation(
        "list_messages",
        answer(200, {"items": rows[:3], "end_cursor": "c", "has_next_page": True}),
        answer(200, {"items": rows[2:], "end_cursor": None, "has_next_page": False}),
    )
    session = LongSession(upstream, 1)
    async with connect() as client:
        view = await client.ok("get_session", session_id=session.session_id)
    assert [message["message"] for message in view["messages"]] == ["m0", "m1", "m2", "m3"]


async def test_failed_page_is_an_error_and_no_short_conversation(
    connect: Connect, upstream: Upstream
) -> None:
    session = LongSession(upstream, 250)
    page = {"items": [], "end_cursor": "c", "has_next_page": True}
    upstream.fail_operation("list_messages", answer(200, page), answer(500))
    async with connect() as client:
        assert "500" in await client.error("get_session", session_id=session.session_id)
        assert await newest(client, session.session_id) == ("m249", 250)
