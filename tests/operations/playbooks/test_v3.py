"""Playbooks of the Organization API: the schema of structured output."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect
from tests.upstream import Upstream

SCHEMA = {"type": "object", "properties": {"done": {"type": "boolean"}}}


@pytest.mark.one_api("v3", reason="structured_output_schema exists on v3 only.")
async def test_schema_is_created_shown_changed_and_cleared(
    connect: Connect, upstream: Upstream
) -> None:
    other = {"type": "object"}

    async with connect() as client:
        created = await client.ok(
            "create_playbook", title="T", body="B", structured_output_schema=SCHEMA
        )
        playbook_id = created["playbook_id"]

        async def read_schema() -> Any:
            playbook = await client.ok("get_playbook", playbook_id=playbook_id)
            return playbook.get("structured_output_schema")

        assert await read_schema() == SCHEMA
        await client.ok("update_playbook", playbook_id=playbook_id, title="U")
        assert await read_schema() == SCHEMA
        await client.ok("update_playbook", playbook_id=playbook_id, structured_output_schema=other)
        assert await read_schema() == other
        clear = ["structured_output_schema"]
        await client.ok("update_playbook", playbook_id=playbook_id, clear=clear)
        assert await read_schema() is None
        await client.ok("update_playbook", playbook_id=playbook_id, body="C")
    bodies = [request.json for request in upstream.sent("update_playbook")]
    schemas = [body.get("structured_output_schema", "absent") for body in bodies]
    assert schemas == [SCHEMA, other, None, "absent"], "only an explicit null clears"
    assert "macro" not in bodies[0]


@pytest.mark.one_api("v3", reason="structured_output_schema exists on v3 only.")
async def test_invalid_schema_is_refused_before_sending(
    connect: Connect, upstream: Upstream
) -> None:
    schema = {"type": "objekt"}
    async with connect() as client:
        for tool, arguments in (
            ("create_playbook", {"title": "T", "body": "B"}),
            ("update_playbook", {"playbook_id": "playbook-0001"}),
        ):
            text = await client.error(tool, **arguments, structured_output_schema=schema)
            assert "not valid JSON Schema" in text
    assert upstream.requests == []


@pytest.mark.one_api("v3", reason="structured_output_schema exists on v3 only.")
async def test_very_long_schema_leaves_room_for_the_body(
    connect: Connect, upstream: Upstream
) -> None:
    schema = {"type": "object", "description": "x" * 60_000}
    async with connect() as client:
        created = await client.ok(
            "create_playbook", title="T", body="B" * 100, structured_output_schema=schema
        )
        playbook = await client.ok("get_playbook", playbook_id=created["playbook_id"])
        await client.ok("update_playbook", playbook_id=created["playbook_id"], title="U")
    assert playbook["body"] == "B" * 100
    assert playbook["structured_output_schema"]["truncated"] is True
    assert upstream.sent("update_playbook")[0].json["structured_output_schema"] == schema


@pytest.mark.one_api("v1", reason="It tests what v1 lacks.")
@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        (
            "create_playbook",
            {"title": "T", "body": "B", "structured_output_schema": SCHEMA},
            "structured_output_schema exists on v3 only",
        ),
        (
            "update_playbook",
            {"playbook_id": "playbook-0001", "clear": ["structured_output_schema"]},
            "clear: structured_output_schema exists on v3 only",
        ),
    ],
)
async def test_schema_is_hidden_and_refused_on_v1(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any], says: str
) -> None:
    async with connect() as client:
        tools = {item.name: item for item in (await client.sdk.list_tools()).tools}
        assert says in await client.error(tool, **arguments)
    schema = tools[f"devin_{tool}"].input_schema
    assert "structured_output_schema" not in str(schema)
    assert upstream.requests == []
