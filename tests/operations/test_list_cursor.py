"""Cursors of the list tools."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect

LISTS: dict[str, dict[str, Any]] = {
    "list_sessions": {"limit": 1, "tags": ["a"]},
    "list_secrets": {},
    "list_knowledge": {"search": "e"},
    "list_playbooks": {},
}


async def test_cursor_of_other_filters_is_refused(connect: Connect) -> None:
    async with connect() as client:
        for _ in range(2):
            await client.ok("create_session", prompt="sandbox:quick", tags=["a"])
        page = await client.ok("list_sessions", limit=1, tags=["a"])
        cursor = page["next_cursor"]
        same = await client.ok("list_sessions", limit=5, tags=["a"], cursor=cursor)
        assert len(same["sessions"]) == 1
        other_filters: list[dict[str, Any]] = [
            {},
            {"tags": ["b"]},
            {"tags": ["a"], "phase": ["working"]},
        ]
        for filters in other_filters:
            text = await client.error("list_sessions", cursor=cursor, **filters)
            assert "belongs to another list, or to a call with other filters" in text


@pytest.mark.parametrize("tool", LISTS)
async def test_cursor_of_another_list_is_refused(connect: Connect, tool: str) -> None:
    async with connect(result_limit=2000) as client:
        page = await client.ok("list_knowledge", body="full")
        filters = LISTS[tool] if tool == "list_knowledge" else {}
        text = await client.error(tool, cursor=page["next_cursor"], **filters)
        assert "cursor belongs to another list" in text


@pytest.mark.parametrize("tool", LISTS)
@pytest.mark.parametrize("text", ["20", "!", "AAAA", "é", "Z" * 40, "AAAAALTE"])
async def test_text_that_is_no_cursor_is_refused(connect: Connect, tool: str, text: str) -> None:
    async with connect() as client:
        assert "cursor" in await client.error(tool, cursor=text)
