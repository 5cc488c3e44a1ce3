"""A look-up that does not show everything is no proof that there is no session."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from devin_mcp.keys import DevinApi
from devin_mcp.operations.delegation.search import SEARCH_DELAYS_SECONDS
from devin_mcp.operations.idempotency import (
    LISTING_LAG_SECONDS,
)
from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import (
    Exchange,
    Fault,
    Upstream,
    answer,
    delay_reply,
    drop_connection,
    lose_reply,
    page,
)

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


@pytest.mark.parametrize("status", [401, 403, 404, 407, 451, 511])
async def test_web_page_at_the_look_up_starts_nothing(
    connect: Connect, upstream: Upstream, api: DevinApi, status: int
) -> None:
    upstream.fail_operation("list_sessions", *[page(status)] * 9)
    async with connect() as client:
        text = await client.error("delegate_task", **TASK)
    assert f"answered instead of Devin ({status})" in text
    assert "permission" not in text
    assert upstream.sent("create_session") == []


@pytest.mark.parametrize("status", [401, 403, 404, 429, 451, 500])
async def test_session_behind_a_web_page_is_found_by_its_tag(
    connect: Connect, upstream: Upstream, api: DevinApi, status: int
) -> None:
    """Something in between passes the request on, and answers with a page of its own."""

    async def pass_on(exchange: Exchange) -> None:
        await exchange.forward(exchange.request)
        await page(status)(exchange)

    upstream.fail_operation("create_session", pass_on)
    async with connect() as client:
        delegated = await client.ok("delegate_task", **TASK)
    assert list(upstream.organization.sessions) == [delegated["session_id"]]
    assert len(upstream.sent("create_session")) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 429, 451, 500])
async def test_web_page_instead_of_a_start_leaves_it_in_doubt(
    connect: Connect, upstream: Upstream, api: DevinApi, status: int
) -> None:
    upstream.fail_operation("create_session", page(status))
    async with connect() as client:
        text = await client.error("delegate_task", **TASK)
    assert f"answered instead of Devin ({status})" in text
    assert "so it may have been carried out" in text
    assert "may still appear and cost ACUs" in text
    assert len(upstream.sent("create_session")) == 1


@pytest.mark.parametrize("status", [407, 511])
async def test_sign_in_page_instead_of_a_start_leaves_no_doubt(
    connect: Connect, upstream: Upstream, api: DevinApi, status: int
) -> None:
    upstream.fail_operation("create_session", page(status))
    async with connect() as client:
        text = await client.error("delegate_task", **TASK)
        assert "passed nothing on. Nothing was changed." in text
        await client.ok("delegate_task", **TASK)
    assert len(upstream.organization.sessions) == 1


@pytest.mark.one_api("v3", reason="v1 has no cursors.")
@pytest.mark.parametrize(
    "rows",
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
    connect: Connect, upstream: Upstream, rows: dict[str, Any]
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", **TASK)
    upstream.fail_operation("list_sessions", *[answer(200, rows)] * 60)
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


async def test_lost_start_starts_nothing_while_the_list_may_lag(
    connect: Connect, upstream: Upstream, api: DevinApi, clock: AutoClock
) -> None:
    """Devin has the session, and does not list it for longer than a search takes."""
    requests_per_look = {"v1": 1, "v3": 2}[api]
    looks = 2 + len(SEARCH_DELAYS_SECONDS) + 1 + len(SEARCH_DELAYS_SECONDS)
    upstream.fail_operation("create_session", lose_reply)
    upstream.fail_operation("list_sessions", *[NOTHING[api]] * looks * requests_per_look)
    async with connect() as client:
        lost = await client.error("delegate_task", **TASK)
        unlisted = await client.error("delegate_task", **TASK)
        assert len(upstream.sent("create_session")) == 1
        clock.skip(LISTING_LAG_SECONDS)
        found = await client.ok("delegate_task", **TASK)
    assert "call again with the same idempotency_key" in lost
    assert f"may lag {LISTING_LAG_SECONDS:.0f} seconds behind" in unlisted
    assert "returns the session or starts it" in unlisted
    assert list(upstream.organization.sessions) == [found["session_id"]]


async def test_look_that_outlasts_the_lag_proves_nothing(
    connect: Connect, upstream: Upstream, api: DevinApi, clock: AutoClock
) -> None:
    """It began while the session may not have been listed yet."""
    requests_per_look = {"v1": 1, "v3": 2}[api]
    looks = 2 + len(SEARCH_DELAYS_SECONDS)

    async def answer_after_the_lag(exchange: Exchange) -> None:
        clock.skip(10)
        await NOTHING[api](exchange)

    upstream.fail_operation("create_session", lose_reply)
    upstream.fail_operation(
        "list_sessions",
        *[NOTHING[api]] * looks * requests_per_look,
        answer_after_the_lag,
        *[NOTHING[api]] * 100,
    )
    async with connect() as client:
        await client.error("delegate_task", **TASK)
        clock.skip(LISTING_LAG_SECONDS - sum(SEARCH_DELAYS_SECONDS) - 5)
        text = await client.error("delegate_task", **TASK)
    assert "may have started a session" in text
    assert len(upstream.organization.sessions) == 1


@pytest.mark.parametrize("session_id", ["../x", "a/b", "x" * 1_000_000, "", "a b", "\u202e"])
async def test_unusable_id_in_the_reply_is_a_lost_reply(
    connect: Connect, upstream: Upstream, api: DevinApi, session_id: str
) -> None:
    async def answer_with_odd_id(exchange: Exchange) -> None:
        await exchange.forward(exchange.request)
        await answer(200, {"session_id": session_id, "status": "new"})(exchange)

    upstream.fail_operation("create_session", answer_with_odd_id)
    async with connect() as client:
        found = await client.ok("delegate_task", **TASK)
        again = await client.ok("delegate_task", **TASK)
    assert list(upstream.organization.sessions) == [found["session_id"]] == [again["session_id"]]


async def test_call_cancelled_before_its_request_was_sent_changes_nothing(
    connect: Connect, upstream: Upstream, api: DevinApi, clock: AutoClock
) -> None:
    """It waits for the only slot. Afterwards nothing is in doubt, and no session is counted."""
    gate = asyncio.Event()
    async with connect(max_upstream_requests=1, max_sessions=1) as client:
        await client.ok("list_secrets")
        upstream.fail_operation("list_secrets", delay_reply(gate))
        occupying = asyncio.ensure_future(client.ok("list_secrets"))
        await upstream.wait_for_operation("list_secrets", 2)
        for _ in range(2):
            starting = asyncio.ensure_future(client("create_session", prompt="p"))
            await asyncio.sleep(0.05)
            starting.cancel()
            await asyncio.wait({starting})
        gate.set()
        await occupying
        started = await client.ok("delegate_task", **TASK)
        waited = sum(clock.waits)
    assert list(upstream.organization.sessions) == [started["session_id"]]
    assert waited == 0


@pytest.mark.usefixtures("api")
async def test_start_that_is_not_listed_after_the_lag_is_started_again(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail_operation("create_session", drop_connection)
    async with connect() as client:
        await client.error("delegate_task", **TASK)
        clock.skip(LISTING_LAG_SECONDS)
        started = await client.ok("delegate_task", **TASK)
    assert started["is_new_session"] is True
    assert list(upstream.organization.sessions) == [started["session_id"]]
