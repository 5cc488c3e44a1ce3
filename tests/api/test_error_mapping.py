"""Error responses become typed errors whose text says what happened and quotes nothing secret."""

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
async def test_error_response_is_mapped_to_its_own_text(
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
async def test_body_that_is_not_json_is_never_shown(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    upstream.fail("GET", "/v1/sessions", *[fault] * 4)
    async with connect() as client:
        text = await client.error("list_sessions")
    assert "<html" not in text
    assert "Sign in" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("status", [302, 303, 307])
async def test_redirected_create_is_reported_as_lost_reply(
    connect: Connect, upstream: Upstream, status: int
) -> None:
    upstream.fail(
        "POST",
        "/v1/sessions",
        answer(status, {"session_id": "devin-x"}, location="/v1/sessions/devin-x"),
    )
    async with connect() as client:
        assert "A session may exist" in await client.error("create_session", prompt="p")
    assert upstream.count("POST") == 1


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"detail": "\\ud800"}'])
async def test_error_response_may_have_any_body(
    connect: Connect, upstream: Upstream, body: bytes
) -> None:
    upstream.fail("POST", "/v1/sessions", answer(422, body))
    async with connect() as client:
        assert "422" in await client.error("create_session", prompt="p")


async def test_billing_in_a_playbook_name_is_not_out_of_quota(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail(
        "POST", "/v1/sessions", answer(403, {"detail": "Playbook billing-guide is private"})
    )
    async with connect() as client:
        assert "may not do that" in await client.error("create_session", prompt="p")


async def test_error_text_quotes_neither_the_key_nor_arguments(
    connect: Connect, upstream: Upstream
) -> None:
    detail = f"title 'My private title' and {KEY} are no good"
    upstream.fail("POST", "/v1/playbooks", answer(400, {"detail": detail}))
    async with connect() as client:
        text = await client.error("create_playbook", title="My private title", body="b")
    assert "no good" in text
    assert "private" not in text
    assert KEY not in text
