"""The routes of v1: documented response shapes and observed quirks."""

from __future__ import annotations

from typing import Any

import jsonschema

from devin_mcp.sandbox import Sandbox
from tests.conventions.test_contract import CONTRACTS
from tests.sandbox.conftest import client_for


async def test_waiting_session_counts_against_the_session_limit(sandbox: Sandbox) -> None:
    async with client_for(sandbox) as client:
        ids = [
            (await client.post("/v1/sessions", json={"prompt": "p"})).json()["session_id"]
            for _ in range(3)
        ]
        sandbox.clock.advance(10)
        refused = await client.post("/v1/sessions", json={"prompt": "p"})
        assert (refused.status_code, "at once" in refused.json()["detail"]) == (429, True)
        await client.delete(f"/v1/sessions/{ids[0]}")
        assert (await client.post("/v1/sessions", json={"prompt": "p"})).status_code == 200


async def test_title_made_from_the_prompt_is_one_line(sandbox: Sandbox) -> None:
    prompt = "Fix it\n\nRepository: acme/shop-api"
    async with client_for(sandbox) as client:
        created = (await client.post("/v1/sessions", json={"prompt": prompt})).json()
        session = (await client.get(f"/v1/sessions/{created['session_id']}")).json()
    assert session["title"] == "Fix it Repository: acme/shop-api…"


async def test_never_starting_session_has_no_status_and_only_the_prompt(sandbox: Sandbox) -> None:
    async with client_for(sandbox) as client:
        body = {"prompt": "sandbox:never-starts"}
        created = (await client.post("/v1/sessions", json=body)).json()
        sandbox.clock.advance(3600)
        session = (await client.get(f"/v1/sessions/{created['session_id']}")).json()
    assert session["status_enum"] is None
    assert [message["type"] for message in session["messages"]] == ["initial_user_message"]


async def test_responses_match_the_documented_schemas(sandbox: Sandbox) -> None:
    def validate(response: Any, name: str) -> None:
        reference = f"#/components/schemas/{name}"
        schema = {"$ref": reference, "components": CONTRACTS["v1"]["components"]}
        jsonschema.validate(response, schema)

    body = {"prompt": "sandbox:quick", "structured_output_schema": {"type": "object"}}
    async with client_for(sandbox) as client:
        created = (await client.post("/v1/sessions", json=body)).json()
        sandbox.clock.advance(5)
        session = (await client.get(f"/v1/sessions/{created['session_id']}")).json()
        sessions = (await client.get("/v1/sessions")).json()
        knowledge = (await client.get("/v1/knowledge")).json()
        playbooks = (await client.get("/v1/playbooks")).json()
        secrets = (await client.get("/v1/secrets")).json()
    validate(created, "CreateSessionResponse")
    validate(session, "SessionDetail")
    validate(sessions, "ListSessionsResponse")
    validate(knowledge, "ListKnowledgeResponse")
    assert playbooks
    for playbook in playbooks:
        validate(playbook, "Playbook")
    assert secrets
    for secret in secrets:
        validate(secret, "SecretMetadata")
