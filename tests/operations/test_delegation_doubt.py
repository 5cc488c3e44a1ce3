"""A look-up that does not show everything is no proof that there is no session."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from devin_mcp.api.clock import Deadline
from devin_mcp.errors import ReplyLost, SlowDown
from devin_mcp.keys import DevinApi
from devin_mcp.operations.delegation.search import SEARCH_DELAYS_SECONDS
from devin_mcp.operations.idempotency import (
    LISTING_LAG_SECONDS,
    MAX_STARTS,
    MAX_STARTS_PER_TENANT,
    IdempotencyRegistry,
)
from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import Exchange, Fault, Upstream, answer, drop_connection, lose_reply, page

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


async def attempt(
    registry: IdempotencyRegistry, clock: AutoClock, tenant: str, tag: str, error: Exception | None
) -> None:
    """An attempt whose request ends with this error, or whose call is refused before it."""

    async def request() -> None:
        if error is not None:
            raise error

    async with registry.attempt(tenant, tag, Deadline.after(clock, 50)) as start:
        if error is not None:
            sending = asyncio.ensure_future(request())
            start.on_sent(sending)
            await asyncio.wait({sending})


async def test_start_in_doubt_is_remembered_however_many_follow(clock: AutoClock) -> None:
    registry, lost = IdempotencyRegistry(clock), ReplyLost("lost")
    await attempt(registry, clock, "own", "k", lost)
    for number in range(MAX_STARTS + 40):
        await attempt(registry, clock, "own", f"refused {number}", None)
        await attempt(registry, clock, f"stranger {number}", "k", lost)
    async with registry.attempt("own", "k", Deadline.after(clock, 50)) as start:
        assert start.seconds_in_doubt > LISTING_LAG_SECONDS - 30


async def test_starts_in_doubt_are_bounded_per_key(clock: AutoClock) -> None:
    registry, lost = IdempotencyRegistry(clock), ReplyLost("lost")
    for number in range(MAX_STARTS_PER_TENANT):
        await attempt(registry, clock, "own", f"k{number}", lost)
    with pytest.raises(SlowDown, match="not known whether"):
        await attempt(registry, clock, "own", "one more", None)
    await attempt(registry, clock, "other", "k", None)
    clock.skip(LISTING_LAG_SECONDS)
    await attempt(registry, clock, "own", "one more", None)
    assert registry.count <= MAX_STARTS_PER_TENANT


async def test_waiting_attempts_of_one_key_share_one_start(clock: AutoClock) -> None:
    """The first attempt is refused while others wait: they and later ones stay apart in time."""
    registry, running, most = IdempotencyRegistry(clock), 0, 0

    async def one_attempt() -> None:
        nonlocal running, most
        async with registry.attempt("own", "k", Deadline.after(clock, 50)):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running -= 1

    for _ in range(3):
        await asyncio.gather(*(one_attempt() for _ in range(5)), asyncio.sleep(0))
    assert most == 1
    assert registry.count == 0
