"""structured_output_schema is checked before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("api")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ('{"title": "\\ud800"}', "cannot be written as JSON"),
        ('{"a": NaN}', "cannot be written as JSON"),
        ('{"a": 1e999}', "cannot be written as JSON"),
        ('{"properties": {"hunter2SECRET": {"type": 5}}}', "at properties/…/type"),
    ],
)
async def test_invalid_schema_is_refused_without_quoting_it(
    connect: Connect, upstream: Upstream, schema: str, says: str
) -> None:
    async with connect() as client:
        text = await client.error("create_session", prompt="p", structured_output_schema=schema)
    assert says in text
    assert "hunter2" not in text
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "objekt"}, "not valid JSON Schema"),
        ({"$ref": "https://example.com/s.json"}, "outside itself"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, "draft 7"),
        ({"description": "x" * 66_000}, "65536"),
    ],
)
async def test_unusable_schema_is_refused_before_a_session_is_started(
    connect: Connect, upstream: Upstream, schema: dict[str, Any], says: str
) -> None:
    async with connect() as client:
        assert says in await client.error(
            "create_session", prompt="p", structured_output_schema=schema
        )
    assert upstream.requests == []


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (nested(40), "more than 64 levels deep"),
        ({"type": ["string", 1] * 4}, "a list of 8 items, where at most 7 are allowed"),
        ({"enum": list(range(2001))}, "a list of 2001 items, where at most 2000 are allowed"),
        ({"pattern": "a" * 1001}, "a pattern of more than 1000 characters"),
        ({"pattern": "(" * 500 + ")" * 500}, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("tool", ["create_session", "delegate_task"])
async def test_schema_out_of_bounds_is_refused(
    connect: Connect, upstream: Upstream, schema: dict[str, Any], says: str, tool: str
) -> None:
    async with connect() as client:
        text = await client.error(tool, prompt="p", structured_output_schema=schema)
    assert says in text
    assert upstream.requests == []


@pytest.mark.parametrize(
    "schema",
    [
        nested(30),
        {"enum": [str(number) for number in range(2000)]},
        {"type": ["string", "number", "integer", "boolean", "array", "object", "null"]},
        {"properties": {"pattern": {"type": "string"}, "type": {"enum": ["a"]}}},
        {"default": {"pattern": 5}},
    ],
)
async def test_schema_within_bounds_is_sent(
    connect: Connect, upstream: Upstream, schema: dict[str, Any]
) -> None:
    async with connect() as client:
        await client.ok("create_session", prompt="p", structured_output_schema=schema)
    (request,) = upstream.sent("create_session")
    assert request.json["structured_output_schema"] == schema
