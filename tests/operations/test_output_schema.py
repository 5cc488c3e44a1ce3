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
