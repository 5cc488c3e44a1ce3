"""Whatever fails in a delegation, and however often it is repeated: one session at most."""

from __future__ import annotations

import asyncio

import pytest

from devin_mcp.keys import DevinApi
from devin_mcp.operations.idempotency import LISTING_LAG_SECONDS
from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import (
    Exchange,
    Fault,
    Upstream,
    answer,
    cut_reply,
    drop_connection,
    lose_reply,
    page,
)


async def refuse_tags(exchange: Exchange) -> None:
    """An organization whose list of allowed tags is empty."""
    if exchange.request.body and "tags" in exchange.request.json:
        await answer(422, {"detail": "tags are not allowed"})(exchange)
        return
    response = await exchange.forward(exchange.request)
    await answer(response.status_code, response.json())(exchange)


FAULTS: dict[str, Fault] = {
    "lost": lose_reply,
    "dropped": drop_connection,
    "cut": cut_reply,
    "500": answer(500, {"detail": "x"}),
    "504": answer(504, b""),
    "web page": page(200),
    "403": answer(403, {"detail": "Forbidden"}),
    "429": answer(429, {"detail": "slow down"}),
    "403 page": page(403),
    "407 page": page(407),
    "429 page": page(429),
    "refused tags": refuse_tags,
    "refused repos": answer(422, {"detail": [{"loc": ["body", "repos"], "msg": "no"}]}),
}
REQUESTS = ("get_self", "list_sessions", "create_session", "list_playbooks", "get_session")
TASK = {
    "prompt": "p",
    "repository": "acme/shop-api",
    "playbook": "!fixtest",
    "idempotency_key": "k",
}
REPEATS = 3
LASTING = {"refused tags"}
"""Faults that last: an organization does not change its list of tags between two calls."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation_id", REQUESTS)
async def test_fault_at_any_request_starts_no_second_session(
    connect: Connect,
    upstream: Upstream,
    api: DevinApi,
    clock: AutoClock,
    operation_id: str,
    fault: str,
) -> None:
    """First on one server, then on a new one, which knows of nothing. Each call comes when Devin
    lists every session that was started before.
    """
    for count in (1, 5):
        upstream.clear_faults()
        times = 99 if fault in LASTING else count
        upstream.fail_operation(operation_id, *[FAULTS[fault]] * times)
        task = TASK | {"idempotency_key": f"k{count}"}
        for _ in range(2):
            async with connect(cache_ttl=0) as client:
                for _ in range(REPEATS):
                    await client("delegate_task", **task)
                    clock.skip(LISTING_LAG_SECONDS)
        if fault not in LASTING:
            upstream.clear_faults()
        async with connect(cache_ttl=0) as client:
            delegated = await client.ok("delegate_task", **task)
        assert delegated["is_new_session"] is False
    assert len(upstream.organization.sessions) == 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_concurrent_calls_with_a_fault_start_one_session(
    connect: Connect, upstream: Upstream, api: DevinApi, clock: AutoClock, fault: str
) -> None:
    upstream.fail_operation("create_session", *[FAULTS[fault]] * (99 if fault in LASTING else 1))
    async with connect(cache_ttl=0) as client:
        await asyncio.gather(*(client("delegate_task", **TASK) for _ in range(6)))
        clock.skip(LISTING_LAG_SECONDS)
        await client.ok("delegate_task", **TASK)
    assert len(upstream.organization.sessions) == 1


async def test_session_of_a_refused_tag_is_found_when_tags_are_taken_again(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    upstream.fail_operation("create_session", refuse_tags)
    ids = set()
    for _ in range(2):
        async with connect() as client:
            ids.add((await client.ok("delegate_task", **TASK))["session_id"])
    assert ids == set(upstream.organization.sessions)
    assert len(ids) == 1


@pytest.mark.parametrize("repository", [None, "acme/shop-api"])
@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (401, "repo and tag"),
        (403, "Your role may not use this repo or tag"),
        (404, "No such repo or tag"),
        (409, "A session with this tag exists already for the repo"),
        (413, "Too large for this repo and its tags"),
        (429, "Too many sessions running for this repo and tag"),
    ],
)
async def test_refusal_that_only_speaks_of_a_field_is_not_worked_around(
    connect: Connect,
    upstream: Upstream,
    api: DevinApi,
    status: int,
    detail: str,
    repository: str | None,
) -> None:
    upstream.fail_operation("create_session", *[answer(status, {"detail": detail})] * 4)
    async with connect() as client:
        await client.error("delegate_task", prompt="p", repository=repository)
    assert upstream.organization.sessions == {}
    assert status == 429 or len(upstream.sent("create_session")) == 1
