"""Knowledge notes: searched, read in pieces, and updated without losing the fields that were not given."""

from __future__ import annotations

import re
from typing import Any

from tests.conftest import Connect
from tests.upstream import Upstream, answer


def note(number: int, body: str = "text", **more: Any) -> dict[str, Any]:
    return {
        "id": f"note-{number}",
        "name": f"Note {number}",
        "body": body,
        "trigger_description": "t",
        "created_at": "2026-01-01T00:00:00Z",
    } | more


async def test_update_that_would_erase_an_unreadable_body_is_refused(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail(
        "GET", "/v1/knowledge", answer(200, {"knowledge": [{"id": "note-1", "name": "n"}]})
    )
    upstream.fail(
        "GET", "/v1/playbooks/.*", answer(200, {"playbook_id": "playbook-1", "title": "t"})
    )
    async with connect() as client:
        assert "Give body too" in await client.error("update_knowledge", note_id="note-1", name="m")
        assert "Give body too" in await client.error(
            "update_playbook", playbook_id="playbook-1", title="u"
        )
    assert upstream.count("PUT") == 0


async def test_note_with_a_long_trigger_is_readable(connect: Connect, upstream: Upstream) -> None:
    note = {"id": "note-1", "name": "n", "trigger_description": "when " * 1000, "body": "b" * 5000}
    upstream.fail("GET", "/v1/knowledge", *[answer(200, {"knowledge": [note]})] * 2)
    async with connect(result_limit=2000) as client:
        full = (await client.ok("list_knowledge", note_ids=["note-1"], body="full"))["knowledge"][0]
        listed = (await client.ok("list_knowledge"))["knowledge"][0]
    assert full["body"]
    assert full["truncated"] is True
    assert listed["trigger_description"].endswith("…")


async def test_notes_are_listed_without_bodies_and_with_folders(connect: Connect) -> None:
    async with connect() as client:
        listed = await client.ok("list_knowledge")
    assert listed["matching"] == len(listed["knowledge"]) == 12
    assert [folder["name"] for folder in listed["folders"]] == [
        "Conventions",
        "Services",
        "Operations",
    ]
    assert all("body" not in row for row in listed["knowledge"])
    assert "body=full" in listed["next"]


async def test_search_folder_and_ids_narrow_the_list(connect: Connect) -> None:
    async with connect() as client:
        assert {
            row["id"]
            for row in (await client.ok("list_knowledge", search="MAKE tests"))["knowledge"]
        } == {"note-0006"}
        assert (await client.ok("list_knowledge", folder_id="folder-services"))["matching"] == 4
        snippet = await client.ok(
            "list_knowledge", note_ids=["note-0001", "note-0002"], body="snippet"
        )
        assert [row["body"][:10] for row in snippet["knowledge"]] == ["Imperative", "ruff and m"]
        nothing = await client.ok("list_knowledge", search="no such thing")
        assert (nothing["knowledge"], nothing["matching"]) == ([], 0)
        assert "Try fewer words" in nothing["next"]
        assert "note-9" in await client.error("list_knowledge", note_ids=["note-9"])
        assert "exactly one" in await client.error("list_knowledge", from_char=5)


async def test_long_body_is_read_in_pieces(connect: Connect, upstream: Upstream) -> None:
    text = 'line "with" quotes\n' * 400
    upstream.fail(
        "GET", "/v1/knowledge", *[answer(200, {"folders": [], "knowledge": [note(1, text)]})] * 20
    )
    whole, start = "", 0
    async with connect(result_limit=2500) as client:
        while True:
            page = await client.ok(
                "list_knowledge", note_ids=["note-1"], body="full", from_char=start
            )
            row = page["knowledge"][0]
            assert (row["truncated"], row["length"]) == (True, len(text))
            whole += row["body"]
            follow = re.search(r"from_char=(\d+)", page["next"])
            if follow is None:
                break
            start = int(follow[1])
    assert whole == text


async def test_megabytes_of_notes_are_listed_page_by_page(
    connect: Connect, upstream: Upstream
) -> None:
    notes = [note(n, "x" * 10_000) for n in range(500)]
    upstream.fail("GET", "/v1/knowledge", *[answer(200, {"folders": [], "knowledge": notes})] * 30)
    seen: list[str] = []
    cursor: str | None = None
    async with connect() as client:
        full = await client("list_knowledge", body="full")
        assert len(full.content[0].model_dump()["text"]) <= 25_000
        while True:
            page = await client.ok("list_knowledge", cursor=cursor)
            seen += [row["id"] for row in page["knowledge"]]
            cursor = page.get("next_cursor")
            if cursor is None:
                break
    assert seen == [f"note-{n}" for n in range(500)]


async def test_note_is_created_updated_cleared_and_deleted(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        created = await client.ok(
            "create_knowledge",
            name="N",
            body="B",
            trigger_description="T",
            parent_folder_id="folder-services",
            pinned_repo="a/b",
            macro="",
        )
        assert upstream.requests[0].json == {
            "name": "N",
            "body": "B",
            "trigger_description": "T",
            "parent_folder_id": "folder-services",
            "pinned_repo": "a/b",
        }
        updated = await client.ok("update_knowledge", note_id=created["id"], body="B2")
        assert (updated["name"], updated["pinned_repo"], updated["parent_folder_id"]) == (
            "N",
            "a/b",
            "folder-services",
        )
        cleared = await client.ok(
            "update_knowledge",
            note_id=created["id"],
            pinned_repo="",
            parent_folder_id="",
            name=None,
        )
        assert "pinned_repo" not in cleared
        assert upstream.organization.notes[created["id"]]["body"] == "B2"
        assert upstream.organization.notes[created["id"]]["parent_folder_id"] is None
        assert "at least one" in await client.error(
            "update_knowledge", note_id=created["id"], name=None
        )
        assert (await client.ok("delete_knowledge", note_id=created["id"]))["deleted"] is True
        assert "does not know that note" in await client.error(
            "update_knowledge", note_id=created["id"], name="x"
        )
        assert "404" in await client.error("delete_knowledge", note_id=created["id"])


async def test_many_folders_leave_room_for_the_notes(connect: Connect, upstream: Upstream) -> None:
    folders = [{"id": f"folder-{n}", "name": "Folder " + "x" * 100} for n in range(500)]
    upstream.fail(
        "GET",
        "/v1/knowledge",
        *[
            answer(
                200,
                {"folders": folders, "knowledge": [note(1, created_by={"full_name": "y" * 9000})]},
            )
        ]
        * 2,
    )
    async with connect() as client:
        result = await client.ok("list_knowledge")
        assert len(result["folders"]) + result["folders_left_out"] == 500
        assert [row["id"] for row in result["knowledge"]] == ["note-1"]
        assert "next_cursor" not in result
        assert "folders" not in await client.ok("list_knowledge", search="note")


async def test_update_that_would_lose_a_field_of_wrong_type_is_refused(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.organization.notes["note-0001"] |= {"pinned_repo": ["a/b"], "macro": 7}
    async with connect() as client:
        assert "did not show macro" in await client.error(
            "update_knowledge", note_id="note-0001", name="n"
        )
        await client.ok(
            "update_knowledge", note_id="note-0001", name="n", macro="!m", pinned_repo="a/b"
        )
    assert upstream.organization.notes["note-0001"]["pinned_repo"] == "a/b"
    assert upstream.count("PUT") == 1
