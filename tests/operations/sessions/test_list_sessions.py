"""devin_list_sessions: pages, filters and what an empty list suggests."""

from __future__ import annotations

import re

import pytest

from devin_mcp.keys import DevinApi
from tests.conftest import Connect
from tests.fake_session import SESSIONS, FakeSession, listed, pages_of
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.usefixtures("api")

EMAIL = "you@sandbox.invalid"
"""Of the only member of the organization."""


def sessions(count: int) -> list[FakeSession]:
    """Sessions that wait: devin-0, devin-1 and so on."""
    return [FakeSession(f"devin-{number}", "blocked") for number in range(count)]


def waiting_and_working(count: int) -> list[FakeSession]:
    """Rows of which every fortieth waits, from the eighth on."""
    return [
        FakeSession(f"devin-{number}", "blocked" if number % 40 == 7 else "working")
        for number in range(count)
    ]


@pytest.mark.one_api("v1", reason="v3 says whether a further page follows.")
async def test_page_shorter_than_its_limit_may_not_be_the_last(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("GET", SESSIONS, listed(*sessions(100)))
    async with connect() as client:
        assert "next_cursor" in await client.ok("list_sessions", limit=500)


async def test_session_started_while_paging_repeats_no_row(
    connect: Connect, upstream: Upstream
) -> None:
    rows = sessions(220)
    later_rows = [FakeSession("devin-new"), *rows]
    upstream.fail("GET", SESSIONS, pages_of(*rows), *[pages_of(*later_rows)] * 9)
    async with connect(result_limit=100_000) as client:
        result = await client.ok("list_sessions", phase=["waiting"], limit=300)
    assert [row["session_id"] for row in result["sessions"]] == [
        f"devin-{number}" for number in range(220)
    ]


async def test_rows_before_an_error_are_returned_with_a_cursor(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    upstream.fail("GET", SESSIONS, pages_of(*sessions(300)), answer(500))
    async with connect(result_limit=100_000) as client:
        result = await client.ok("list_sessions", phase=["waiting"], limit=300)
    first_page = {"v1": 100, "v3": 200}[api]
    assert (len(result["sessions"]), "next_cursor" in result) == (first_page, True)


async def test_phase_filter_searches_across_pages(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", SESSIONS, *[pages_of(*waiting_and_working(250))] * 30)
    async with connect() as client:
        result = await client.ok("list_sessions", phase=["waiting"])
        nothing = await client.ok("list_sessions", phase=["sleeping"])
    assert [row["session_id"] for row in result["sessions"]] == [
        f"devin-{number}" for number in range(7, 250, 40)
    ]
    assert result["scanned"] == 250
    assert "next_cursor" not in result
    assert nothing["sessions"] == []


async def test_phase_filter_continues_at_the_cursor(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", SESSIONS, *[pages_of(*waiting_and_working(250))] * 30)
    arguments = {"phase": ["waiting"], "limit": 2}
    async with connect() as client:
        first = await client.ok("list_sessions", **arguments)
        second = await client.ok("list_sessions", **arguments, cursor=first["next_cursor"])
    assert [row["session_id"] for row in [*first["sessions"], *second["sessions"]]] == [
        f"devin-{number}" for number in (7, 47, 87, 127)
    ]


async def test_phase_filter_and_result_limit_lose_no_row(
    connect: Connect, upstream: Upstream
) -> None:
    rows = waiting_and_working(250)
    upstream.fail("GET", SESSIONS, *[pages_of(*rows)] * 60)
    async with connect(result_limit=2000) as client:
        listed = await client.list_all("list_sessions", "sessions", phase=["working"], limit=100)
    assert [row["session_id"] for row in listed] == [
        session.session_id for session in rows if session.status_enum == "working"
    ]


async def test_sessions_are_listed_page_by_page(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        ids = [await client.create_session(f"sandbox:quick task {number}") for number in range(5)]
        listed = await client.list_all("list_sessions", "sessions", limit=2)
    assert [row["session_id"] for row in listed] == ids[::-1]


async def test_empty_list_suggests_delegating(connect: Connect) -> None:
    async with connect() as client:
        empty = await client.ok("list_sessions")
    assert empty["sessions"] == []
    assert "Start one" in empty["next"]
    assert "devin_delegate_task" in empty["next"]


async def test_default_page_has_20_rows(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    async with connect() as client:
        await client.ok("list_sessions")
    (request,) = upstream.sent("list_sessions")
    queries = {"v1": "limit=20&offset=0", "v3": "first=20&is_archived=false"}
    assert request.query == queries[api]


async def test_filter_without_matches_does_not_suggest_delegating(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        for filters in ({"tags": ["nosuch"]}, {"user_email": EMAIL}, {"phase": ["sleeping"]}):
            result = await client.ok("list_sessions", **filters)
            assert result["next"] == "No session matches; leave the filter out to see all."


async def test_list_filters_are_sent_as_query_parameters(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    async with connect() as client:
        await client.ok("list_sessions", tags=["a", "b"], user_email=EMAIL, limit=5)
    (request,) = upstream.sent("list_sessions")
    queries = {
        "v1": "limit=5&offset=0&tags=a&tags=b&user_email=you%40sandbox.invalid",
        "v3": "first=5&is_archived=false&tags=a&tags=b&user_ids=user-sandbox",
    }
    assert request.query == queries[api]


@pytest.mark.one_api("v1", reason="v3 returns the link with every session.")
async def test_url_is_shown_only_where_the_web_app_is_known(connect: Connect) -> None:
    async with connect() as client:
        await client.ok("create_session", prompt="p")
        assert "url" not in (await client.ok("list_sessions"))["sessions"][0]
    async with connect(DEVIN_APP_URL="https://devin.example.com") as client:
        row = (await client.ok("list_sessions"))["sessions"][0]
    assert re.fullmatch(r"https://devin\.example\.com/sessions/[0-9a-f]{32}", row["url"])
