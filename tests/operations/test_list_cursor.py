"""Cursors of the list tools."""

from __future__ import annotations

import pytest

from tests.conftest import Connect

LISTS = {
    "list_sessions": {"limit": 1, "tags": ["a"]},
    "list_secrets": {},
    "list_knowledge": {"search": "e"},
    "list_playbooks": {},
}


async def test_cursor_of_other_filters_is_refused(connect: Connect) -> None:
    async with connect() as call:
        for _ in range(2):
            await call.ok("create_session", prompt="sandbox:quick", tags=["a"])
        page = await call.ok("list_sessions", limit=1, tags=["a"])
        cursor = page["next_cursor"]
        same = await call.ok("list_sessions", limit=5, tags=["a"], cursor=cursor)
        assert len(same["sessions"]) == 1
        for filters in ({}, {"tags": ["b"]}, {"tags": ["a"], "phase": ["working"]}):
            text = await call.error("list_sessions", cursor=cursor, **filters)
            assert "belongs to another list, or to a call with other filters" in text


@pytest.mark.parametrize("tool", LISTS)
async def test_cursor_of_another_list_is_refused(connect: Connect, tool: str) -> None:
    async with connect(result_limit=2000) as call:
        page = await call.ok("list_knowledge", body="full")
        filters = LISTS[tool] if tool == "list_knowledge" else {}
        text = await call.error(tool, cursor=page["next_cursor"], **filters)
        assert "cursor belongs to another list" in text


@pytest.mark.parametrize("tool", LISTS)
@pytest.mark.parametrize("text", ["20", "!", "AAAA", "é", "Z" * 40, "AAAAALTE"])
async def test_text_that_is_no_cursor_is_refused(connect: Connect, tool: str, text: str) -> None:
    async with connect() as call:
        assert "cursor" in await call.error(tool, cursor=text)
