"""Playbooks: listed without bodies, read in pieces, and updated without losing other fields."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Connect
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.usefixtures("api")


async def test_playbooks_are_listed_with_bodies_only_on_request(connect: Connect) -> None:
    async with connect() as client:
        lean = await client.ok("list_playbooks")
        full = await client.ok("list_playbooks", body=True)
    titles = [row["title"] for row in lean["playbooks"]]
    assert titles == sorted(titles)
    assert "!fixtest" in [row["macro"] for row in lean["playbooks"]]
    assert all("body" not in row for row in lean["playbooks"])
    assert all(row["body"] for row in full["playbooks"])


async def test_list_wrapped_in_an_object_is_read(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation(
        "list_playbooks",
        answer(
            200, {"items": [{"playbook_id": "playbook-1", "title": "T", "body": "B", "news": 1}]}
        ),
    )
    async with connect() as client:
        assert (await client.ok("list_playbooks"))["playbooks"] == [
            {"playbook_id": "playbook-1", "title": "T"}
        ]


async def test_body_that_does_not_fit_the_list_is_marked(
    connect: Connect, upstream: Upstream
) -> None:
    row = {"playbook_id": "playbook-1", "title": "T", "body": "step\n" * 2000}
    upstream.fail_operation("list_playbooks", answer(200, {"items": [row, row]}))
    async with connect(result_limit=3000) as client:
        listed = await client.ok("list_playbooks", body=True)
    assert listed["playbooks"] == [
        {"playbook_id": "playbook-1", "title": "T", "truncated": True, "length": 10_000}
    ]
    assert "next_cursor" in listed


async def test_update_that_would_erase_an_unreadable_body_is_refused(
    connect: Connect, upstream: Upstream
) -> None:
    row = {"playbook_id": "playbook-1", "title": "t"}
    upstream.fail_operation("get_playbook", answer(200, row))
    async with connect() as client:
        text = await client.error("update_playbook", playbook_id="playbook-1", title="u")
    assert "Give body too" in text
    assert upstream.count("PUT") == 0


async def test_long_body_is_read_in_pieces(connect: Connect, upstream: Upstream) -> None:
    text = "step\n" * 2000
    row = {"playbook_id": "playbook-1", "title": "T", "body": text}
    upstream.fail_operation("get_playbook", *[answer(200, row)] * 20)
    read, start = "", 0
    async with connect(result_limit=3000) as client:
        while True:
            piece = await client.ok("get_playbook", playbook_id="playbook-1", from_char=start)
            assert (piece["truncated"], piece["length"]) == (True, len(text))
            read += piece["body"]
            following = re.search(r"from_char=(\d+)", piece["next"])
            if following is None:
                break
            start = int(following[1])
    assert read == text


async def test_playbook_is_created_updated_and_deleted(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        created = await client.ok("create_playbook", title="T", body="B", macro="!t")
        playbook_id = created["playbook_id"]
        updated = await client.ok("update_playbook", playbook_id=playbook_id, body="B2")
        assert (updated["title"], updated["macro"]) == ("T", "!t")
        cleared = await client.ok("update_playbook", playbook_id=playbook_id, clear=["macro"])
        assert "macro" not in cleared
        stored = upstream.organization.playbooks[playbook_id]
        assert (stored["title"], stored["body"], stored["macro"]) == ("T", "B2", None)
        await client.ok("delete_playbook", playbook_id=playbook_id)
        assert "404" in await client.error("get_playbook", playbook_id=playbook_id)


async def test_update_without_a_change_is_refused(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        text = await client.error("update_playbook", playbook_id="playbook-0001")
    assert "give at least one field a value" in text
    assert upstream.requests == []
