"""Keys and secret values are redacted from everything that is returned."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Connect, text_of
from tests.upstream import KEY, Upstream, answer


async def test_key_and_secret_values_are_redacted_from_results(
    connect: Connect, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'quo"ted\nvalue'
    monkeypatch.setenv("MY_LOGIN", secret)
    message = {"type": "devin_message", "message": f"I found {KEY} and {secret}"}
    upstream.fail(
        "GET",
        "/v1/sessions/.*",
        *[answer(200, {"session_id": "devin-1", "messages": [message]})] * 2,
    )
    upstream.fail("POST", "/v1/secrets", answer(200, {"id": secret}))
    async with connect(allow_secret_env="MY_LOGIN") as client:
        created = await client(
            "create_secret", key="K", type="key-value", value_from_env="MY_LOGIN"
        )
        session = await client.ok("get_session", session_id="devin-1")
        resource = await client.sdk.read_resource("devin://sessions/devin-1")
    results = text_of(created) + json.dumps(session) + str(resource.contents)
    assert "I found [hidden] and [hidden]" in session["messages"][0]["message"]
    assert KEY not in results
    assert json.dumps(secret)[1:-1] not in results
    assert secret not in results


async def test_key_is_redacted_from_titles_in_lists(connect: Connect, upstream: Upstream) -> None:
    upstream.organization.notes["note-0001"] |= {
        "name": f"Use {KEY}",
        "trigger_description": f"with {KEY}",
    }
    upstream.organization.playbooks["playbook-0001"]["title"] = f"Login {KEY}"
    async with connect() as client:
        results = [
            await client.resources(),
            await client.sdk.list_prompts(),
            await client.sdk.get_prompt("fixtest", {"task": "t"}),
            await client.read("devin://knowledge"),
            await client.read("devin://knowledge/note-0001"),
        ]
    assert KEY not in str(results)


async def test_listed_size_is_that_of_the_redacted_text(
    connect: Connect, upstream: Upstream
) -> None:
    uri = "devin://knowledge/note-0001"
    upstream.organization.notes["note-0001"]["name"] = f"Use {KEY}"
    async with connect() as client:
        sizes = {resource.uri: resource.size for resource in await client.resources()}
        text = await client.read(uri)
    assert sizes[uri] == len(text.encode())
