"""Notes, playbooks, secrets and attachments of v3, and what v1 sees of them."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.sandbox import Sandbox
from tests.sandbox.conftest import client_for
from tests.sandbox.v3_client import (
    NOTES,
    ORGANIZATION,
    PLAYBOOKS,
    SECRETS,
    SESSIONS,
    read,
    v3_client,
)

NOTE = {"name": "n", "body": "b", "trigger": "t"}


async def test_note_loses_folder_and_pin_when_they_are_left_out(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        fields = {"folder_id": "folder-services", "pinned_repo": "acme/x", "is_enabled": False}
        note = (await client.post(NOTES, json=NOTE | fields)).json()
        assert (note["folder_path"], note["is_enabled"]) == ("/Services", False)
        await client.put(f"{NOTES}/{note['note_id']}", json=NOTE)
        note = await read(client, f"{NOTES}/{note['note_id']}")
        assert [note[name] for name in ("folder_id", "folder_path", "pinned_repo")] == [None] * 3
        assert note["is_enabled"] is False
        folders = await read(client, f"{ORGANIZATION}/knowledge/folders")
        assert folders["root_note_count"] == 1


async def test_list_filters_notes(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        for query, count in (
            ({"search": "RUFF"}, 1),
            ({"folder_path": "/Operations"}, 3),
            ({"pinned_repo": "acme/shop-web"}, 1),
            ({}, 12),
        ):
            assert len((await read(client, NOTES, **query))["items"]) == count, query


async def test_note_of_one_api_is_seen_by_the_other(sandbox: Sandbox) -> None:
    async with (
        client_for(sandbox, "apk_sandbox-x") as v1,
        v3_client(sandbox, "cog_sandbox-x") as v3,
    ):
        note_id = (await v3.post(NOTES, json=NOTE)).json()["note_id"]
        notes = (await v1.get("/v1/knowledge")).json()["knowledge"]
        assert {note["id"]: note.keys() for note in notes}[note_id] == notes[0].keys()
        changed = {"name": "new", "body": "b", "trigger_description": "t"}
        sandbox.clock.advance(5)
        await v1.put(f"/v1/knowledge/{note_id}", json=changed)
        note = await read(v3, f"{NOTES}/{note_id}")
        assert (note["name"], note["updated_at"] > note["created_at"]) == ("new", True)


async def test_playbook_keeps_what_is_left_out_and_clears_nulls(sandbox: Sandbox) -> None:
    schema = {"type": "object"}
    texts = {"title": "t", "body": "b"}
    async with v3_client(sandbox) as client:
        fields = {"macro": "!m", "structured_output_schema": schema}
        created = (await client.post(PLAYBOOKS, json=texts | fields)).json()
        path = f"{PLAYBOOKS}/{created['playbook_id']}"
        unchanged = (await client.put(path, json=texts)).json()
        assert (unchanged["macro"], unchanged["structured_output_schema"]) == ("!m", schema)
        nulls: dict[str, Any] = dict.fromkeys(fields)
        cleared = (await client.put(path, json=texts | nulls)).json()
        assert (cleared["macro"], cleared["structured_output_schema"]) == (None, None)
        assert (await client.put(path, json=texts | {"macro": "m"})).status_code == 422


async def test_vanished_secret_is_a_403(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        assert (await client.delete(f"{SECRETS}/secret-0001")).status_code == 200
        assert (await client.delete(f"{SECRETS}/secret-0001")).status_code == 403


async def test_secret_of_v1_shows_its_note_but_no_value(sandbox: Sandbox) -> None:
    body = {"type": "totp", "key": "K", "value": "hidden", "sensitive": False, "note": "n"}
    async with client_for(sandbox, "apk_sandbox") as v1, v3_client(sandbox) as v3:
        await v1.post("/v1/secrets", json=body)
        secret = (await read(v3, SECRETS))["items"][-1]
        names = ("key", "secret_type", "is_sensitive", "note")
        assert [secret[name] for name in names] == ["K", "totp", False, "n"]
        assert "hidden" not in str(secret)
        again = {"type": "totp", "key": "K", "value": "x"}
        assert (await v3.post(SECRETS, json=again)).status_code == 409


async def test_file_of_v3_is_downloaded_without_the_key(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = f"{ORGANIZATION}/attachments"
        file = (await client.post(path, files={"file": ("a.txt", b"hello")})).json()
        link = await client.get(f"{path}/{file['attachment_id']}/a.txt")
        assert link.status_code == 307
        del client.headers["authorization"]
        assert (await client.get(link.headers["location"])).content == b"hello"


@pytest.mark.parametrize("kind", ["knowledge/notes/note-x", "playbooks/playbook-x"])
async def test_unknown_record_is_a_404(sandbox: Sandbox, kind: str) -> None:
    async with v3_client(sandbox) as client:
        response = await client.get(f"{ORGANIZATION}/{kind}")
    assert (response.status_code, response.json().keys()) == (404, {"detail"})


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": ""},
        {"prompt": "p", "tags": [1]},
        {"prompt": "p", "devin_mode": "slow"},
        {"prompt": "p", "attachment_urls": ["x" * 2084]},
        {"prompt": "p", "title": 5},
        [],
    ],
    ids=["empty", "number", "mode", "long-url", "title", "array"],
)
async def test_body_against_the_contract_is_a_422(sandbox: Sandbox, body: Any) -> None:
    async with v3_client(sandbox) as client:
        response = await client.post(SESSIONS, json=body)
    assert (response.status_code, response.json()["detail"][0]["loc"][0]) == (422, "body")
