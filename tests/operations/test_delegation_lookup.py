"""Finding the session of a delegation on v3: by tag, archived or not, with either key."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from devin_mcp.keys import DevinApi
from tests.clock import AutoClock, ManualClock
from tests.conftest import Connect
from tests.operations.delegations import session_bodies
from tests.operations.waiting.conversations import wait
from tests.upstream import KEYS, Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 neither archives nor names permissions.")

YEAR_SECONDS = 365 * 24 * 3600


def lookups(upstream: Upstream) -> list[dict[str, list[str]]]:
    """The queries of the requests that looked for sessions."""
    return [parse_qs(request.query) for request in upstream.sent("list_sessions")]


async def test_session_with_lost_reply_is_adopted_by_its_tag(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="sandbox:lose-reply")
    assert list(upstream.organization.sessions) == [delegated["session_id"]]
    assert len(upstream.sent("create_session")) == 1
    assert delegated["is_new_session"] is True
    assert delegated["tag"] == session_bodies(upstream)[0]["tags"][-1]
    assert "reply was lost" in delegated["remark"]
    assert delegated["url"].startswith("https://sandbox.invalid/sessions/")


async def test_lost_reply_with_a_key_starts_no_second_session(
    connect: Connect, upstream: Upstream
) -> None:
    task = {"prompt": "sandbox:lose-reply", "idempotency_key": "k"}
    async with connect() as client:
        first = await client.ok("delegate_task", **task)
        second = await client.ok("delegate_task", **task)
    async with connect() as client:
        third = await client.ok("delegate_task", **task)
    assert first["session_id"] == second["session_id"] == third["session_id"]
    assert len(session_bodies(upstream)) == 1


async def test_key_that_may_not_look_starts_nothing(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("list_sessions", answer(403, {"detail": "Forbidden"}))
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p", idempotency_key="k")
    assert "nothing was started" in text
    assert "ViewOrgSessions" in text
    assert session_bodies(upstream) == []
    assert upstream.sent("create_session") == []


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_lookup_without_an_answer_starts_nothing(
    connect: Connect, upstream: Upstream, status: int
) -> None:
    """That nobody could look does not mean that nothing is there."""
    upstream.fail_operation("list_sessions", *[answer(status, {"detail": "x"})] * 9)
    async with connect() as client:
        await client.error("delegate_task", prompt="p", idempotency_key="k")
    assert upstream.sent("create_session") == []


async def test_lookup_of_archived_sessions_without_an_answer_starts_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    empty = answer(200, {"items": []})
    upstream.fail_operation("list_sessions", empty, answer(500))
    async with connect() as client:
        await client.error("delegate_task", prompt="p", idempotency_key="k")
    assert upstream.sent("create_session") == []


async def test_archived_session_with_the_tag_is_found(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    clock.skip(5)
    upstream.organization.sessions[first["session_id"]].archive()
    async with connect() as client:
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert (again["session_id"], again["is_new_session"]) == (first["session_id"], False)
    assert again["next"].startswith("The session is archived: it can be read, and takes no mess")
    assert len(session_bodies(upstream)) == 1


async def test_lookup_asks_for_a_year_and_for_archived_sessions_too(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    now = upstream.sandbox.clock.now().timestamp()
    by_tag, by_title = lookups(upstream)[:2], lookups(upstream)[2:]
    for looks in (by_tag, by_title):
        assert [query["is_archived"] for query in looks] == [["false"], ["true"]]
    assert [query.get("tags") for query in by_title] == [None, None]
    for query in by_tag:
        assert query["tags"] == [delegated["tag"]]
    for query in lookups(upstream):
        assert 0 <= now - YEAR_SECONDS - int(query["created_after"][0]) < 600


async def test_delegation_without_a_key_looks_for_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="p")
    assert lookups(upstream) == []


TASKS: list[dict[str, Any]] = [
    {"prompt": "Fix it"},
    {"prompt": "Fix it", "repository": "acme/shop-api"},
    {"prompt": "Fix it", "files": ["https://sandbox.invalid/attachments/1a2b/log.txt"]},
]


@pytest.mark.parametrize("apis", [("v1", "v3"), ("v3", "v1")], ids="-".join)
@pytest.mark.parametrize("task", TASKS, ids=["prompt", "repository", "files"])
async def test_key_of_the_other_api_finds_the_session(
    connect: Connect,
    upstream: Upstream,
    clock: AutoClock,
    apis: tuple[DevinApi, DevinApi],
    task: dict[str, Any],
) -> None:
    """A team that moves from one key to the other delegates nothing twice."""
    first_api, second_api = apis
    async with connect(DEVIN_API_KEY=KEYS[first_api]) as client:
        first = await client.ok("delegate_task", **task, idempotency_key="k")
    clock.skip(5)
    async with connect(DEVIN_API_KEY=KEYS[second_api]) as client:
        again = await client.ok("delegate_task", **task, idempotency_key="k")
        text = await client.error("delegate_task", prompt="Other", idempotency_key="k")
    assert (again["session_id"], again["is_new_session"]) == (first["session_id"], False)
    assert again["tag"] == first["tag"]
    assert "same idempotency_key" in again["remark"]
    assert "another idempotency_key" in text
    assert len(session_bodies(upstream)) == 1


@pytest.mark.parametrize("apis", [("v1", "v3"), ("v3", "v1")], ids="-".join)
async def test_wait_goes_on_with_the_cursor_of_the_other_key(
    connect: Connect, manual_clock: ManualClock, apis: tuple[DevinApi, DevinApi]
) -> None:
    first_api, second_api = apis
    async with connect(manual_clock=manual_clock, DEVIN_API_KEY=KEYS[first_api]) as client:
        delegated = await client.ok("delegate_task", prompt="p")
        ids = [delegated["session_id"]]
        first = await wait(client, manual_clock, 8, 8, session_ids=ids)
    async with connect(manual_clock=manual_clock, DEVIN_API_KEY=KEYS[second_api]) as client:
        again = await wait(client, manual_clock, session_ids=ids, cursor=first["cursor"])
    assert [row["phase"] for row in first["sessions"]] == ["waiting"]
    assert "messages" not in again["sessions"][0]
    assert again["sessions"][0]["changed"] == []
