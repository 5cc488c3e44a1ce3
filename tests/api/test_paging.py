"""Walks through the pages of v3 end, whatever the cursors are."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from devin_mcp.api.paging import MAX_PAGES
from tests.conftest import Connect
from tests.operations.records import by_id, secret
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="A list of v1 has one page.")


def page_of(number: int, **fields: Any) -> dict[str, Any]:
    row = {"secret_id": f"s-{number}", "secret_type": "totp", "key": "K"}
    return {"items": [row], **fields}


@pytest.mark.parametrize(
    "last",
    [
        {"end_cursor": None, "has_next_page": False},
        {"end_cursor": "b", "has_next_page": False},
        {"end_cursor": "", "has_next_page": True},
        {"end_cursor": None, "has_next_page": True},
        {"end_cursor": "a", "has_next_page": True},
        {},
    ],
)
async def test_empty_or_repeated_cursor_ends_the_walk(
    connect: Connect, upstream: Upstream, last: dict[str, Any]
) -> None:
    first = page_of(1, end_cursor="a", has_next_page=True)
    upstream.fail_operation("list_secrets", answer(200, first), answer(200, page_of(2, **last)))
    async with connect() as client:
        rows = (await client.ok("list_secrets"))["secrets"]
    assert [row["secret_id"] for row in rows] == ["s-1", "s-2"]
    queries = [parse_qs(request.query) for request in upstream.sent("list_secrets")]
    assert queries == [{"first": ["200"]}, {"first": ["200"], "after": ["a"]}]


async def test_cursors_that_circle_end_the_walk(connect: Connect, upstream: Upstream) -> None:
    pages = [page_of(n, end_cursor="ab"[n % 2], has_next_page=True) for n in range(4)]
    upstream.fail_operation("list_secrets", *(answer(200, page) for page in pages))
    async with connect() as client:
        rows = (await client.ok("list_secrets"))["secrets"]
    assert [row["secret_id"] for row in rows] == ["s-0", "s-1", "s-2"]


async def test_endless_list_is_read_to_a_bound(connect: Connect, upstream: Upstream) -> None:
    pages = [page_of(n, end_cursor=f"c{n}", has_next_page=True) for n in range(MAX_PAGES + 5)]
    upstream.fail_operation("list_secrets", *(answer(200, page) for page in pages))
    async with connect() as client:
        text = await client.error("list_secrets")
    assert "the most this server reads" in text
    assert len(upstream.sent("list_secrets")) == MAX_PAGES


async def test_sandbox_that_repeats_its_cursor_is_read_once(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.organization.secrets = by_id(*(secret(f"s-{n:03}") for n in range(450)))
    async with connect() as client:
        await client.create_session("sandbox:repeat-cursor")
        rows = await client.list_all("list_secrets", "secrets")
    assert [row["secret_id"] for row in rows] == [f"s-{n:03}" for n in range(400)]
    assert len(upstream.sent("list_secrets")) % 2 == 0


async def test_page_that_fails_is_no_short_list(connect: Connect, upstream: Upstream) -> None:
    first = page_of(1, end_cursor="a", has_next_page=True)
    upstream.fail_operation("list_secrets", answer(200, first), answer(500))
    async with connect() as client:
        assert "server error (500)" in await client.error("list_secrets")
