"""devin_list_sessions on v3: cursors instead of offsets, and filters that only v3 has."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.conftest import Connect
from tests.fake_session import SESSIONS, FakeSession, pages_of
from tests.upstream import Fault, Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 has offsets and fewer filters.")

MEMBER = "you@sandbox.invalid"
"""The only member of the organization."""


def queries(upstream: Upstream) -> list[dict[str, str]]:
    """The query of each request for a page; the first of repeated values."""
    return [
        {name: values[0] for name, values in parse_qs(request.query).items()}
        for request in upstream.sent("list_sessions")
    ]


def start(upstream: Upstream, count: int, **body: Any) -> list[str]:
    """The ids of so many sessions that exist already, newest first."""
    ids = [
        upstream.organization.start_session({"prompt": f"p{number}", **body}).session_id
        for number in range(count)
    ]
    return ids[::-1]


def ids_of(rows: list[dict[str, Any]]) -> list[str]:
    return [row["session_id"] for row in rows]


async def test_each_page_begins_at_the_cursor_of_the_last(
    connect: Connect, upstream: Upstream
) -> None:
    ids = start(upstream, 5)
    async with connect() as client:
        first = await client.ok("list_sessions", limit=2)
        second = await client.ok("list_sessions", limit=2, cursor=first["next_cursor"])
        third = await client.ok("list_sessions", limit=2, cursor=second["next_cursor"])
    assert ids_of([*first["sessions"], *second["sessions"], *third["sessions"]]) == ids
    assert "next_cursor" not in third
    sent = queries(upstream)
    assert [query["first"] for query in sent] == ["2", "2", "2"]
    assert "after" not in sent[0]
    assert len({query.get("after") for query in sent}) == 3


async def test_session_started_while_paging_moves_no_later_page(
    connect: Connect, upstream: Upstream
) -> None:
    ids = start(upstream, 4)
    async with connect() as client:
        first = await client.ok("list_sessions", limit=2)
        start(upstream, 1)
        second = await client.ok("list_sessions", limit=2, cursor=first["next_cursor"])
    assert ids_of([*first["sessions"], *second["sessions"]]) == ids


async def test_rows_beyond_the_result_limit_follow_on_the_next_page(
    connect: Connect, upstream: Upstream
) -> None:
    """The cursor names a place within Devin's page, so nothing is lost or repeated."""
    ids = start(upstream, 45, title="t" * 200)
    async with connect(result_limit=4000) as client:
        first = await client.ok("list_sessions", limit=20)
        rows = await client.list_all("list_sessions", "sessions", limit=20)
    assert 0 < len(first["sessions"]) < 20
    assert ids_of(rows) == ids
    within = [query for query in queries(upstream) if int(query["first"]) > 20]
    assert within, "a page within Devin's page is read again from the page's own cursor"


async def test_page_above_200_rows_is_read_in_several_requests(
    connect: Connect, upstream: Upstream
) -> None:
    ids = start(upstream, 250)
    async with connect(result_limit=200_000) as client:
        page = await client.ok("list_sessions", limit=230)
        rest = await client.ok("list_sessions", limit=230, cursor=page["next_cursor"])
    assert ids_of([*page["sessions"], *rest["sessions"]]) == ids
    assert len(page["sessions"]) == 230
    assert [query["first"] for query in queries(upstream)] == ["200", "30", "200"]


async def test_archived_sessions_are_listed_only_when_asked_for(
    connect: Connect, upstream: Upstream
) -> None:
    archived, other = start(upstream, 2)
    upstream.organization.sessions[archived].archive()
    async with connect() as client:
        (row,) = (await client.ok("list_sessions"))["sessions"]
        (archived_row,) = (await client.ok("list_sessions", archived=True))["sessions"]
    assert (row["session_id"], "archived" in row) == (other, False)
    assert (archived_row["session_id"], archived_row["archived"]) == (archived, True)
    assert [query["is_archived"] for query in queries(upstream)] == ["false", "true"]


async def test_no_archived_session_is_no_reason_to_delegate(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        empty = await client.ok("list_sessions", archived=True)
    assert empty["next"] == "No session matches; leave the filter out to see all."


async def test_repository_filter_takes_a_name_or_an_address(
    connect: Connect, upstream: Upstream
) -> None:
    (session_id,) = start(upstream, 1, repos=["acme/shop"])
    start(upstream, 2, repos=["acme/other"])
    async with connect() as client:
        for repository in ("acme/shop", "https://github.com/acme/shop.git"):
            listed = await client.ok("list_sessions", repository=repository)
            assert ids_of(listed["sessions"]) == [session_id]
    assert [query["repo_names"] for query in queries(upstream)] == ["acme/shop"] * 2


async def test_user_email_is_looked_up_among_the_members(
    connect: Connect, upstream: Upstream
) -> None:
    (of_member,) = start(upstream, 1)
    async with connect() as client:
        of_service_user = await client.create_session()
        listed = await client.ok("list_sessions", user_email=MEMBER)
        everything = await client.ok("list_sessions")
    assert ids_of(listed["sessions"]) == [of_member]
    assert ids_of(everything["sessions"]) == [of_service_user, of_member]
    (request,) = upstream.sent("list_members")
    assert parse_qs(request.query)["email"] == [MEMBER]


async def test_member_filter_that_devin_ignores_is_applied_here(
    connect: Connect, upstream: Upstream
) -> None:
    members = [
        {"user_id": "user-x", "email": "x@y.z"},
        {"user_id": "user-sandbox", "email": MEMBER},
    ]
    upstream.fail_operation("list_members", answer(200, {"items": members}))
    async with connect() as client:
        await client.ok("list_sessions", user_email=MEMBER.upper())
    (request,) = upstream.sent("list_sessions")
    assert parse_qs(request.query)["user_ids"] == ["user-sandbox"]


async def test_unknown_user_is_named_and_no_session_is_listed(
    connect: Connect, upstream: Upstream
) -> None:
    start(upstream, 1)
    async with connect() as client:
        listed = await client.ok("list_sessions", user_email="nobody@sandbox.invalid")
    assert listed["sessions"] == []
    assert listed["next"] == "No user of the organization has this e-mail address."
    assert upstream.sent("list_sessions") == []


async def test_key_that_may_not_read_members_learns_the_permission(
    connect: Connect, upstream: Upstream
) -> None:
    start(upstream, 1)
    upstream.fail_operation("list_members", answer(403, {"detail": "Forbidden"}))
    async with connect() as client:
        text = await client.error("list_sessions", user_email=MEMBER)
    assert "ViewOrgMembership" in text
    assert upstream.sent("list_sessions") == []


async def test_phase_filter_searches_across_cursor_pages(
    connect: Connect, upstream: Upstream
) -> None:
    sessions = [
        FakeSession(f"devin-{number}", "blocked" if number % 100 == 7 else "working")
        for number in range(450)
    ]
    upstream.fail("GET", SESSIONS, *[pages_of(*sessions)] * 9)
    async with connect() as client:
        first = await client.ok("list_sessions", phase=["waiting"], limit=3)
        second = await client.ok(
            "list_sessions", phase=["waiting"], limit=3, cursor=first["next_cursor"]
        )
    assert ids_of(first["sessions"]) == ["devin-7", "devin-107", "devin-207"]
    assert ids_of(second["sessions"]) == ["devin-307", "devin-407"]
    assert (first["scanned"], second["scanned"]) == (208, 450 - 208)
    assert "next_cursor" not in second
    sent = [query.get("after") for query in queries(upstream)]
    assert sent == [None, "row 200", "row 200", "row 400"]


async def test_phase_that_only_v3_has_can_be_filtered_for(
    connect: Connect, upstream: Upstream
) -> None:
    held, _ = start(upstream, 1, prompt="sandbox:quota-hold"), start(upstream, 1)
    upstream.sandbox.clock.advance(5)
    async with connect() as client:
        listed = await client.ok("list_sessions", phase=["held", "failed"])
    assert ids_of(listed["sessions"]) == held
    assert listed["sessions"][0]["reason"] == "out_of_quota"


@pytest.mark.parametrize("filters", [{}, {"phase": ["starting"]}])
async def test_repeated_cursor_ends_the_list(
    connect: Connect, upstream: Upstream, filters: dict[str, Any]
) -> None:
    ids = start(upstream, 450, prompt="sandbox:never-starts")
    upstream.organization.words.add("repeat-cursor")
    async with connect(result_limit=400_000) as client:
        page = await client.ok("list_sessions", limit=1000, **filters)
    assert ids_of(page["sessions"]) == ids[:400]
    assert "next_cursor" not in page
    assert len(upstream.sent("list_sessions")) == 2


async def test_cursors_that_go_in_a_circle_end_the_list(
    connect: Connect, upstream: Upstream
) -> None:
    def page_to(cursor: str, number: int) -> Fault:
        row = {"session_id": f"{number:032x}", "org_id": "o", "status": "new"}
        return answer(200, {"items": [row], "end_cursor": cursor, "has_next_page": True})

    circle = [page_to("A", 1), page_to("B", 2), page_to("A", 3), page_to("B", 4)]
    upstream.fail_operation("list_sessions", *circle)
    async with connect() as client:
        listed = await client.ok("list_sessions", limit=12)
    assert len(listed["sessions"]) == 3
    assert "next_cursor" not in listed
