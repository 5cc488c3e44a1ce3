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
