"""A look-up that does not show everything is no proof that there is no session."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.keys import DevinApi
from devin_mcp.operations.delegation.start import SEARCH_DELAYS_SECONDS
from devin_mcp.operations.idempotency import MAX_STARTS, IdempotencyRegistry
from tests.conftest import Connect
from tests.upstream import Fault, Upstream, answer, lose_reply

TASK = {"prompt": "p", "idempotency_key": "k"}
NOTHING: dict[DevinApi, Fault] = {
    "v1": answer(200, {"sessions": []}),
    "v3": answer(200, {"items": [], "end_cursor": None, "has_next_page": False}),
}
ROW = {"session_id": "1" * 32, "org_id": "o", "status": "new", "tags": []}


@pytest.mark.parametrize("failed_looks", [1, len(SEARCH_DELAYS_SECONDS)], ids=["last", "all"])
async def test_failed_looks_while_in_doubt_start_nothing(
    connect: Connect, upstream: Upstream, api: DevinApi, failed_looks: int
) -> None:
    """The second call searches, and its last looks fail. Then Devin answers again."""
    search = len(SEARCH_DELAYS_SECONDS)
    by_tag_and_title = 2
    shown_nothing = by_tag_and_title + search + 1 + search - failed_looks
    requests_per_look = {"v1": 1, "v3": 2}[api]
    upstream.fail_operation("create_session", lose_reply)
    upstream.fail_operation(
        "list_sessions",
        *[NOTHING[api]] * (shown_nothing * requests_per_look),
        *[answer(400, {"detail": "x"})] * failed_looks,
    )
    async with connect() as client:
        await client.error("delegate_task", **TASK)
        text = await client.error("delegate_task", **TASK)
        assert "could not be looked up" in text
        found = await client.ok("delegate_task", **TASK)
    assert list(upstream.organization.sessions) == [found["session_id"]]


@pytest.mark.one_api("v3", reason="v1 has no cursors.")
@pytest.mark.parametrize(
    "page",
    [
        {"items": [ROW], "end_cursor": None, "has_next_page": True},
        {"items": [ROW], "end_cursor": "", "has_next_page": True},
        {"items": [ROW], "end_cursor": 5, "has_next_page": True},
        {"items": [ROW], "end_cursor": ["x"], "has_next_page": True},
        {"items": [], "has_next_page": True},
        {"items": [ROW], "end_cursor": "x", "has_next_page": "maybe"},
        {"items": [ROW], "end_cursor": "x", "has_next_page": {}},
    ],
)
async def test_page_that_says_more_follows_is_not_the_last(
    connect: Connect, upstream: Upstream, page: dict[str, Any]
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", **TASK)
    upstream.fail_operation("list_sessions", *[answer(200, page)] * 60)
    async with connect() as client:
        assert "and has more" in await client.error("delegate_task", **TASK)
    assert len(upstream.organization.sessions) == 1


@pytest.mark.one_api("v3", reason="On v1 null means no tags (migration.md §5).")
@pytest.mark.parametrize("tags", [None, 5, "x", {}])
async def test_session_without_readable_tags_is_not_another_one(
    connect: Connect, upstream: Upstream, tags: object
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", **TASK)
    row = {**ROW, "tags": tags} if tags != 5 else {"session_id": "1" * 32, "org_id": "o"}
    page = {"items": [row], "end_cursor": None, "has_next_page": False}
    upstream.fail_operation("list_sessions", *[answer(200, page)] * 9)
    async with connect() as client:
        text = await client.error("delegate_task", **TASK)
    assert "did not show the tags" in text or "could not be read" in text
    assert len(upstream.organization.sessions) == 1


@pytest.mark.one_api("v3", reason="v1 has no organizations.")
async def test_list_of_organizations_that_goes_on_is_no_choice(
    connect: Connect, upstream: Upstream
) -> None:
    rows = [{"org_id": "org-sandbox", "name": "A"}]
    page = {"items": rows, "end_cursor": "x", "has_next_page": True}
    upstream.fail_operation("get_self", answer(200, {"principal_type": "service_user"}))
    upstream.fail_operation("list_organizations", answer(200, page))
    async with connect() as client:
        assert "more than one" in await client.error("delegate_task", **TASK)
    assert upstream.organization.sessions == {}


def test_start_in_doubt_is_remembered_however_many_follow() -> None:
    registry = IdempotencyRegistry()
    doubtful, settled = registry.get("o", "doubtful"), registry.get("o", "settled")
    doubtful.in_doubt = True
    for number in range(MAX_STARTS):
        registry.get("o", str(number))
    assert registry.get("o", "doubtful") is doubtful
    assert registry.get("o", "settled") is not settled
