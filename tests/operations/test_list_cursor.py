"""The cursors of the list tools."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect

pytestmark = pytest.mark.usefixtures("api")

LISTS: dict[str, dict[str, Any]] = {
    "list_sessions": {"limit": 1, "tags": ["a"]},
    "list_secrets": {},
    "list_knowledge": {"search": "e"},
    "list_playbooks": {},
}


OTHER_FILTERS: list[dict[str, Any]] = [
    {},
    {"tags": ["b"]},
    {"tags": ["a"], "phase": ["working"]},
]


async def test_cursor_of_other_filters_is_refused(connect: Connect) -> None:
    async with connect() as client:
        for _ in range(2):
            await client.create_session("sandbox:quick", tags=["a"])
        page = await client.ok("list_sessions", limit=1, tags=["a"])
        cursor = page["next_cursor"]
        for filters in OTHER_FILTERS:
            text = await client.error("list_sessions", cursor=cursor, **filters)
            assert "belongs to another list, or to a call with other filters" in text


async def test_cursor_is_valid_with_another_limit(connect: Connect) -> None:
    async with connect() as client:
        ids = [await client.create_session("sandbox:quick", tags=["a"]) for _ in range(2)]
        page = await client.ok("list_sessions", limit=1, tags=["a"])
        arguments = {"limit": 5, "tags": ["a"], "cursor": page["next_cursor"]}
        page = await client.ok("list_sessions", **arguments)
    assert [row["session_id"] for row in page["sessions"]] == ids[:1]


@pytest.mark.parametrize("tool", LISTS)
async def test_cursor_of_another_list_is_refused(connect: Connect, tool: str) -> None:
    async with connect(result_limit=2000) as client:
        page = await client.ok("list_knowledge", body="full")
        filters = LISTS[tool] if tool == "list_knowledge" else {}
        text = await client.error(tool, cursor=page["next_cursor"], **filters)
        assert "cursor belongs to another list" in text


@pytest.mark.parametrize("tool", LISTS)
@pytest.mark.parametrize("cursor", ["20", "!", "AAAA", "é", "Z" * 40, "AAAAALTE"])
async def test_malformed_cursor_is_refused(connect: Connect, tool: str, cursor: str) -> None:
    async with connect() as client:
        assert "cursor" in await client.error(tool, cursor=cursor)
