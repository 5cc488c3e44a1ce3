"""Archiving on the Organization API: files a session away, and takes it back."""

from __future__ import annotations

import pytest

from tests.conftest import Connect, ToolClient
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 has no archive")


async def _ids(client: ToolClient, **arguments: bool) -> list[str]:
    listed = await client.ok("list_sessions", **arguments)
    return [session["session_id"] for session in listed["sessions"]]


async def test_archived_session_is_filed_away_and_taken_back(connect: Connect) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        archived = await client.ok("archive_session", session_id=session_id)
        assert archived["archived"] is True
        assert session_id not in await _ids(client)
        assert session_id in await _ids(client, archived=True)

        back = await client.ok("archive_session", session_id=session_id, archived=False)
        assert back["archived"] is False
        assert session_id in await _ids(client)


async def test_archiving_stops_the_work_and_twice_is_once(connect: Connect) -> None:
    async with connect() as client:
        session_id = await client.create_session("sandbox:forever Migrate the job")
        first = await client.ok("archive_session", session_id=session_id)
        second = await client.ok("archive_session", session_id=session_id)
        assert first == second
        session = await client.ok("get_session", session_id=session_id)
    assert session["phase"] == "sleeping"
    assert session["archived"] is True
    assert "archived=false takes it back" in session["next"]


async def test_ended_session_that_is_archived_promises_nothing(connect: Connect) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        await client.ok("terminate_session", session_id=session_id, archive=True)
        session = await client.ok("get_session", session_id=session_id)
        back = await client.ok("archive_session", session_id=session_id, archived=False)
    assert session["archived"] is True
    assert "The session is over and takes no messages." in session["next"]
    assert "archived=false" not in session["next"]
    assert back["next"].startswith("It is listed again. Unless it has ended,")


async def test_wait_names_the_archived_among_others(connect: Connect) -> None:
    async with connect() as client:
        ids = [await client.create_session("sandbox:forever") for _ in range(3)]
        for session_id in ids[:2]:
            await client.ok("archive_session", session_id=session_id)
        both = await client.ok("wait_for_sessions", session_ids=ids[:2], until="all")
        mixed = await client.ok("wait_for_sessions", session_ids=ids[1:])
    assert [row["archived"] for row in both["sessions"]] == [True, True]
    assert both["next"].startswith("2 archived: such a session takes no messages until")
    assert mixed["next"].startswith("1 archived: such a session")
    assert mixed["next"].endswith(
        "Devin is at work: call devin_wait_for_sessions again with cursor."
    )


async def test_empty_list_says_where_the_archived_are(connect: Connect) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        await client.ok("archive_session", session_id=session_id)
        listed = await client.ok("list_sessions")
    assert listed["sessions"] == []
    assert "archived=true lists archived ones" in listed["next"]


async def test_tags_of_an_archived_session_say_how_to_take_it_back(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        await client.ok("archive_session", session_id=session_id)
        text = await client.error("update_session_tags", session_id=session_id, tags=["a"])
    assert "archived=false takes it back; then call again" in text
    assert upstream.sent("update_session_tags") == []


async def test_message_to_an_archived_session_says_how_to_take_it_back(connect: Connect) -> None:
    async with connect() as client:
        session_id = await client.create_session("sandbox:forever Migrate the job")
        await client.ok("archive_session", session_id=session_id)
        problem = await client.error("send_message", session_id=session_id, message="Go on")
        assert "archived=false takes it back" in problem
        await client.ok("archive_session", session_id=session_id, archived=False)
        await client.ok("send_message", session_id=session_id, message="Go on")


@pytest.mark.parametrize("archived", [True, False])
async def test_lost_reply_is_tried_again(
    connect: Connect, upstream: Upstream, *, archived: bool
) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        upstream.fail("POST", r".*/(un)?archive", answer(503))
        result = await client.ok("archive_session", session_id=session_id, archived=archived)
    assert result["archived"] is archived


async def test_missing_route_of_unarchive_is_told_from_a_missing_session(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        unknown = await client.error(
            "archive_session", session_id="devin-" + "0" * 32, archived=False
        )
        upstream.fail("POST", r".*/unarchive", answer(404))
        missing = await client.error("archive_session", session_id=session_id, archived=False)
    assert "no way to take a session back" in missing
    assert "no way to take a session back" not in unknown
