"""Pages of the protocol's lists, in both eras."""

from __future__ import annotations

import pytest
from mcp import MCPError
from mcp.types import (
    INVALID_PARAMS,
)

from devin_mcp.sandbox.sample_data import PLAYBOOKS
from tests.conftest import Connect, Era
from tests.server.contents import prompt_text, write_notes, write_playbooks
from tests.server.test_resources import INDEXES
from tests.upstream import Upstream


@pytest.mark.parametrize(
    ("notes", "pages"), [(246 - len(PLAYBOOKS), 1), (247 - len(PLAYBOOKS), 2), (600, 3)]
)
async def test_resources_are_listed_in_pages_of_250(
    connect: Connect, upstream: Upstream, era: Era, notes: int, pages: int
) -> None:
    write_notes(upstream, notes)
    async with connect(era=era) as client:
        uris, cursor, page_count = [], None, 0
        while page_count == 0 or cursor is not None:
            page = await client.sdk.list_resources(cursor=cursor, cache_mode="bypass")
            uris += [resource.uri for resource in page.resources]
            cursor, page_count = page.next_cursor, page_count + 1
    assert page_count == pages
    assert len(uris) == len(set(uris)) == notes + len(INDEXES["v1"]) + len(PLAYBOOKS)
    assert upstream.count("GET", "/v1/knowledge") == 1
    assert upstream.count("GET", "/v1/playbooks") == 1


async def test_list_that_changes_between_pages_repeats_and_skips_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    write_notes(upstream, 400)
    async with connect() as client:
        first = await client.sdk.list_resources(cache_mode="bypass")
        await client.ok("delete_knowledge", note_id="note-00000")
        await client.ok("create_knowledge", name="AAA first", body="b", trigger="t")
        second = await client.sdk.list_resources(cursor=first.next_cursor, cache_mode="bypass")
    uris = [resource.uri for resource in [*first.resources, *second.resources]]
    assert len(uris) == len(set(uris))
    assert {f"devin://knowledge/note-{number:05d}" for number in range(400)} <= set(uris)


@pytest.mark.parametrize("cursor", ["x", "WzFd", "eyJhIjoxfQ", "é", "WyJhIiwxLDJd"])
async def test_malformed_cursor_is_refused(connect: Connect, era: Era, cursor: str) -> None:
    async with connect(era=era) as client:
        for list_page in (client.sdk.list_resources, client.sdk.list_prompts):
            with pytest.raises(MCPError, match="cursor") as refused:
                await list_page(cursor=cursor, cache_mode="bypass")
            assert refused.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize(("count", "pages"), [(246, 1), (247, 2), (250, 2)])
async def test_prompts_are_listed_in_pages_of_250(
    connect: Connect, upstream: Upstream, era: Era, count: int, pages: int
) -> None:
    write_playbooks(
        upstream, *((f"playbook-{number:03}", f"Book {number:03}", None) for number in range(count))
    )
    async with connect(era=era) as client:
        prompt_names, cursor, page_count = [], None, 0
        while page_count == 0 or cursor is not None:
            page = await client.sdk.list_prompts(cursor=cursor, cache_mode="bypass")
            prompt_names += [prompt.name for prompt in page.prompts]
            cursor, page_count = page.next_cursor, page_count + 1
    assert page_count == pages
    assert len(prompt_names) == len(set(prompt_names)) == count + 4
    assert upstream.count("GET", "/v1/playbooks") == 1


async def test_prompt_beyond_the_first_page_can_be_read(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    write_playbooks(
        upstream, *((f"playbook-{number:03}", f"Book {number:03}", None) for number in range(250))
    )
    async with connect(era=era) as client:
        prompt = await client.sdk.get_prompt("book-249", {"task": "t"})
    assert "Book 249" in prompt_text(prompt)
