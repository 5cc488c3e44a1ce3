"""Keys and secret values are redacted from everything that is returned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Connect, text_of
from tests.upstream import KEY, Upstream, answer

ROW: dict[str, Any] = {
    "session_id": "devin-1",
    "status": "x",
    "status_enum": "blocked",
    "created_at": "x",
    "updated_at": "x",
}


async def test_key_and_secret_values_are_redacted_from_results(
    connect: Connect, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'quo"ted\nvalue'
    monkeypatch.setenv("MY_LOGIN", secret)
    message = {"type": "devin_message", "message": f"I found {KEY} and {secret}"}
    upstream.fail("GET", "/v1/sessions/.*", *[answer(200, ROW | {"messages": [message]})] * 2)
    upstream.fail("POST", "/v1/secrets", answer(200, {"id": secret}))
    async with connect(allow_secret_env="MY_LOGIN") as client:
        created = await client(
            "create_secret", key="K", type="key-value", value_from_env="MY_LOGIN"
        )
        session = await client.ok("get_session", session_id="devin-1")
        resource = await client.sdk.read_resource("devin://sessions/devin-1")
    shown = text_of(created) + json.dumps(session) + str(resource.contents)
    assert "I found [hidden] and [hidden]" in session["messages"][0]["message"]
    assert KEY not in shown
    assert json.dumps(secret)[1:-1] not in shown
    assert secret not in shown


async def test_key_is_redacted_from_titles_in_lists(connect: Connect, upstream: Upstream) -> None:
    upstream.organization.notes["note-0001"] |= {
        "name": f"Use {KEY}",
        "trigger_description": f"with {KEY}",
    }
    upstream.organization.playbooks["playbook-0001"]["title"] = f"Login {KEY}"
    async with connect() as client:
        listed = await client.resources()
        everything = (
            str(listed)
            + str(await client.sdk.list_prompts())
            + await client.read("devin://knowledge")
        )
        text = await client.read("devin://knowledge/note-0001")
        everything += str(await client.sdk.get_prompt("fixtest", {"task": "t"}))
    assert KEY not in everything
    assert next(resource.size for resource in listed if resource.uri.endswith("note-0001")) == len(
        text.encode()
    )
