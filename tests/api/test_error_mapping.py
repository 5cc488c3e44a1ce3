"""Devin's oddities (devin-api/v1.md): each gives a result or a typed error, never a traceback."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect
from tests.upstream import KEY, Fault, Upstream, answer, page


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {"detail": "Invalid token"}, "does not accept this API key"),
        (
            403,
            {"detail": "Your organization has a billing error. Error: out_of_quota"},
            "out of quota",
        ),
        (403, {"detail": "Forbidden"}, "may not do that"),
        (404, {"detail": "gone"}, "does not know that id"),
        (409, {"detail": "conflict"}, "conflict (409)"),
        (
            422,
            {
                "detail": [
                    {"loc": ["query", "limit"], "msg": "too big", "type": "x", "input": "LEAK"}
                ]
            },
            "query.limit: too big",
        ),
        (422, {"detail": "odd"}, "odd"),
        (400, ["not", "an", "object"], "(400)"),
        (302, None, "unexpected redirect"),
    ],
)
async def test_refusals_are_told_apart(
    connect: Connect, upstream: Upstream, status: int, body: Any, says: str
) -> None:
    upstream.fail("GET", "/v1/sessions", answer(status, body))
    async with connect() as client:
        text = await client.error("list_sessions")
    assert says in text
    assert "LEAK" not in text


@pytest.mark.parametrize(
    "fault",
    [
        page(),
        page(403),
        page(404),
        page(502),
        answer(200, b"\xff\xfe"),
        answer(200, [1]),
        answer(200, b""),
    ],
)
async def test_what_is_not_data_is_never_pasted_through(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    upstream.fail("GET", "/v1/sessions", *[fault] * 4)
    async with connect() as client:
        text = await client.error("list_sessions")
    assert "<html" not in text
    assert "Sign in" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "fault",
    [
        answer(204, b""),
        answer(200, None),
        answer(200, {"detail": "ok"}),
        answer(200, b""),
        answer(200, {"message": 1}),
    ],
)
async def test_a_plain_yes_may_take_any_form(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    upstream.fail("POST", ".*/message", fault)
    upstream.fail("DELETE", ".*", fault)
    upstream.fail("PUT", ".*/tags", fault)
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, {"session_id": "devin-1"}))
    async with connect() as client:
        assert (await client.ok("send_message", session_id="devin-1", message="m"))[
            "delivered"
        ] is True
        assert (await client.ok("delete_secret", secret_id="secret-0001"))["deleted"] is True
        assert (await client.ok("update_session_tags", session_id="devin-1", tags=[]))["tags"] == []


async def test_unknown_fields_nulls_and_odd_times_are_taken(
    connect: Connect, upstream: Upstream
) -> None:
    row = {
        "session_id": "devin-1",
        "status": "odd",
        "status_enum": "blocked",
        "title": None,
        "tags": None,
        "pull_request": {"url": "u", "n": 1},
        "created_at": "2026-01-02T05:04:05+02:00",
        "updated_at": "yesterday",
        "messages": None,
        "brand_new": {"x": [1]},
    }
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, row))
    async with connect() as client:
        got = await client.ok("get_session", session_id="devin-1")
    assert (got["created_at"], got["updated_at"], got["tags"], got["messages"]) == (
        "2026-01-02T03:04:05Z",
        "yesterday",
        [],
        [],
    )
    assert got["pull_requests"] == [{"url": "u"}]


async def test_five_megabytes_are_no_trouble(connect: Connect, upstream: Upstream) -> None:
    messages = [
        {"type": "devin_message", "event_id": f"e{n}", "message": "x" * 50_000} for n in range(100)
    ]
    row = {
        "session_id": "devin-1",
        "status": "x",
        "created_at": "x",
        "updated_at": "x",
        "messages": messages,
    }
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, row))
    async with connect() as client:
        result = await client("get_session", session_id="devin-1")
    assert not result.is_error
    assert len(result.content[0].model_dump()["text"]) <= 25_000


async def test_the_key_travels_in_the_header_and_an_echo_of_ours_is_cut_out(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail(
        "POST",
        "/v1/playbooks",
        answer(400, {"detail": f"title 'My private title' and {KEY} are no good"}),
    )
    async with connect() as client:
        text = await client.error("create_playbook", title="My private title", body="b")
    assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert upstream.requests[0].headers["user-agent"].startswith("devin-mcp/")
    assert "no good" in text
    assert "private" not in text
    assert KEY not in text


@pytest.mark.parametrize(
    ("key", "says"),
    [("", "no Devin API key"), ("cog_abcdef", "not served yet"), ("  ", "no Devin API key")],
)
async def test_without_a_usable_key_everything_is_listed_and_every_call_says_why(
    connect: Connect, upstream: Upstream, key: str, says: str
) -> None:
    async with connect(DEVIN_API_KEY=key) as client:
        assert len((await client.sdk.list_tools()).tools) == 22
        text = await client.error("list_sessions")
    assert says in text
    assert "apk_" in text
    assert "--sandbox" in text
    assert upstream.requests == []
