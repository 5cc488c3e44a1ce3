"""Knowledge of the Organization API: filters that Devin applies, single notes, whole updates."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.conftest import Connect
from tests.operations.records import by_id, note
from tests.upstream import ReceivedRequest, Upstream, answer

pytestmark = pytest.mark.one_api(
    "v3", reason="v1 has neither filters, single notes, enabled nor pages."
)


def query_of(request: ReceivedRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.query).items()}


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({"search": "postgres"}, {"search": "postgres"}),
        ({"pinned_repo": "acme/shop-api"}, {"pinned_repo": "acme/shop-api"}),
        ({"folder_id": "folder-services"}, {"folder_path": "/Services"}),
        (
            {"search": "postgres", "folder_id": "folder-services", "pinned_repo": "acme/shop-api"},
            {
                "search": "postgres",
                "folder_path": "/Services",
                "pinned_repo": "acme/shop-api",
            },
        ),
    ],
)
async def test_filters_are_sent_to_devin(
    connect: Connect, upstream: Upstream, arguments: dict[str, str], query: dict[str, str]
) -> None:
    async with connect() as client:
        listed = await client.ok("list_knowledge", **arguments)
    (request,) = upstream.sent("list_knowledge")
    assert query_of(request) == {"first": "200", **query}
    assert "note-0006" in [row["note_id"] for row in listed["knowledge"]]
    assert listed["matching"] < 12
    assert len(upstream.sent("list_folders")) == ("folder_id" in arguments)


async def test_unknown_folder_is_refused(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        text = await client.error("list_knowledge", folder_id="folder-none")
    assert "no folder with this id" in text
    assert upstream.sent("list_knowledge") == []


async def test_few_notes_are_read_one_by_one(connect: Connect, upstream: Upstream) -> None:
    ids = ["note-0002", "note-0001"]
    async with connect() as client:
        listed = await client.ok("list_knowledge", note_ids=ids, body="snippet")
    assert [row["note_id"] for row in listed["knowledge"]] == ids
    assert all(row["body"] for row in listed["knowledge"])
    paths = {request.path.rpartition("/")[2] for request in upstream.sent("get_note")}
    assert paths == set(ids)
    assert upstream.sent("list_knowledge") == []


async def test_many_notes_are_read_with_the_list(connect: Connect, upstream: Upstream) -> None:
    upstream.organization.notes = by_id(*(note(f"note-{number}") for number in range(30)))
    ids = [f"note-{number}" for number in range(20)]
    async with connect() as client:
        listed = await client.ok("list_knowledge", note_ids=ids)
    assert listed["matching"] == 20
    assert upstream.sent("get_note") == []


async def test_only_the_missing_note_is_named(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        text = await client.error("list_knowledge", note_ids=["note-0001", "note-9"])
    assert "No such note: note-9." in text


async def test_note_that_cannot_be_read_is_not_called_missing(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("get_note", answer(500))
    async with connect() as client:
        text = await client.error("list_knowledge", note_ids=["note-0001"])
    assert "server error (500)" in text
    assert "No such note" not in text


async def test_all_pages_of_notes_are_read(connect: Connect, upstream: Upstream) -> None:
    upstream.organization.notes = by_id(*(note(f"note-{number:03}") for number in range(450)))
    async with connect() as client:
        listed = await client.list_all("list_knowledge", "knowledge")
        text = await client.read("devin://knowledge/note-449")
    assert [row["note_id"] for row in listed] == [f"note-{number:03}" for number in range(450)]
    assert text.startswith("# Note note-449")
    pages = upstream.sent("list_knowledge")
    assert len(pages) == 3
    assert ["after" in query_of(page) for page in pages] == [False, True, True]


FULL = note(
    "note-1",
    name="N",
    body="B",
    trigger_description="T",
    parent_folder_id="folder-services",
    pinned_repo="acme/shop-api",
    macro="!m",
)
SENT = {
    "name": "N",
    "body": "B",
    "trigger": "T",
    "folder_id": "folder-services",
    "pinned_repo": "acme/shop-api",
    "is_enabled": True,
}


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ({"name": "M"}, {"name": "M"}),
        ({"body": "C"}, {"body": "C"}),
        ({"enabled": False}, {"is_enabled": False}),
        ({"folder_id": "folder-operations"}, {"folder_id": "folder-operations"}),
        ({"clear": ["folder_id"]}, {"folder_id": None}),
        ({"clear": ["pinned_repo"]}, {"pinned_repo": None}),
    ],
)
async def test_update_sends_every_field_of_the_note(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], changes: dict[str, Any]
) -> None:
    """A field that is left out would move or unpin the note (v3-additions.md §6)."""
    upstream.organization.notes = by_id(dict(FULL))
    async with connect() as client:
        await client.ok("update_knowledge", note_id="note-1", **arguments)
    (request,) = upstream.sent("update_knowledge")
    assert request.json == SENT | changes
    stored = upstream.organization.notes["note-1"]
    expected = SENT | changes
    assert stored["parent_folder_id"] == expected["folder_id"]
    assert stored["pinned_repo"] == expected["pinned_repo"]
    assert stored["macro"] == "!m"


async def test_note_that_is_not_enabled_says_so_and_stays_so(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        created = await client.ok(
            "create_knowledge", name="N", body="B", trigger="T", enabled=False
        )
        note_id = created["note_id"]
        assert created["enabled"] is False
        (row,) = (await client.ok("list_knowledge", note_ids=[note_id]))["knowledge"]
        assert row["enabled"] is False
        assert "- Enabled: no" in await client.read(f"devin://knowledge/{note_id}")
        renamed = await client.ok("update_knowledge", note_id=note_id, name="M")
        assert renamed["enabled"] is False
        enabled = await client.ok("update_knowledge", note_id=note_id, enabled=True)
        assert "enabled" not in enabled
        (row,) = (await client.ok("list_knowledge", note_ids=[note_id]))["knowledge"]
    assert "enabled" not in row
    assert upstream.organization.extras[note_id]["is_enabled"] is True


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        (
            "create_knowledge",
            {"name": "n", "body": "b", "trigger": "t", "macro": "!m"},
            "macro exists on v1 only",
        ),
        ("update_knowledge", {"note_id": "note-0001", "macro": "!m"}, "macro exists on v1 only"),
        (
            "update_knowledge",
            {"note_id": "note-0001", "clear": ["macro"]},
            "clear: macro exists on v1 only",
        ),
    ],
)
async def test_macro_is_refused(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any], says: str
) -> None:
    async with connect() as client:
        assert says in await client.error(tool, **arguments)
    assert upstream.requests == []
