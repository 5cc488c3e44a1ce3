"""Lenient decoding: optional fields may have any shape, required ones may not be missing."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.conftest import Connect
from tests.upstream import Fault, Upstream, answer

ROW: dict[str, Any] = {
    "session_id": "devin-1",
    "status": "x",
    "status_enum": "blocked",
    "created_at": "x",
    "updated_at": "x",
}


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
async def test_acknowledgement_with_any_body_counts_as_success(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    upstream.fail("POST", ".*/message", fault)
    upstream.fail("DELETE", ".*", fault)
    upstream.fail("PUT", ".*/tags", fault)
    session = {"session_id": "devin-1", "tags": ["old"]}
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, session))
    async with connect() as client:
        sent = await client.ok("send_message", session_id="devin-1", message="m")
        deleted = await client.ok("delete_secret", secret_id="secret-0001")
        updated = await client.ok("update_session_tags", session_id="devin-1", tags=[])
    assert sent["delivered"] is True
    assert deleted["deleted"] is True
    assert updated["tags"] == []


async def test_unknown_fields_nulls_and_odd_times_are_accepted(
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
        session = await client.ok("get_session", session_id="devin-1")
    assert session["created_at"] == "2026-01-02T03:04:05Z"
    assert session["updated_at"] == "yesterday"
    assert session["tags"] == session["messages"] == []
    assert session["pull_requests"] == [{"url": "u"}]


async def test_session_of_five_megabytes_is_read(connect: Connect, upstream: Upstream) -> None:
    messages = [
        {"type": "devin_message", "event_id": f"e{number}", "message": "x" * 50_000}
        for number in range(100)
    ]
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, ROW | {"messages": messages}))
    async with connect() as client:
        result = await client("get_session", session_id="devin-1")
    assert not result.is_error
    assert len(result.content[0].model_dump()["text"]) <= 25_000


@pytest.mark.parametrize(
    "field",
    [
        {"phase": "executing"},
        {"title": 5},
        {"status": {}},
        {"pull_request": {}},
        {"pull_request": {"url": None}},
        {"tags": [None]},
        {"created_at": "9999-12-31T23:59:59-10:00"},
        {"created_at": "0001-01-01T00:00:00+10:00"},
        {"playbook_id": ["x"]},
        {"messages": [{"message": None}, {"type": None, "event_id": 5, "message": "m"}]},
    ],
)
async def test_optional_field_of_wrong_type_is_ignored(
    connect: Connect, upstream: Upstream, field: dict[str, Any]
) -> None:
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": [ROW | field, ROW]}))
    upstream.fail("GET", "/v1/sessions/.*", answer(200, ROW | field))
    async with connect() as client:
        rows = (await client.ok("list_sessions"))["sessions"]
        session = await client.ok("get_session", session_id="devin-1")
    assert [row["phase"] for row in rows] == ["waiting", "waiting"]
    assert session["phase"] == "waiting"


async def test_lone_surrogate_is_replaced(connect: Connect, upstream: Upstream) -> None:
    body = json.dumps(
        {"sessions": [ROW | {"title": "cut \ud83d"}, ROW | {"title": "\\ud83d \U0001f600"}]}
    ).encode()
    upstream.fail("GET", "/v1/sessions", answer(200, body))
    async with connect() as client:
        titles = [row["title"] for row in (await client.ok("list_sessions"))["sessions"]]
    assert titles == ["cut �", "\\ud83d \U0001f600"]


async def test_missing_required_field_is_an_error(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": [ROW, {"title": "no id"}]}))
    upstream.fail("GET", "/v1/knowledge", answer(200, {"message": "maintenance"}))
    async with connect() as client:
        assert "could not be read" in await client.error("list_sessions")
        assert "could not be read" in await client.error("list_knowledge")


async def test_status_of_wrong_type_is_read_as_working(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("GET", "/v1/sessions/.*", answer(200, ROW | {"status_enum": 7}))
    async with connect() as client:
        assert (await client.ok("get_session", session_id="devin-1"))["phase"] == "working"


async def test_list_of_messages_of_wrong_type_is_an_error(
    connect: Connect, upstream: Upstream
) -> None:
    """Read as an empty list, it would hide messages."""
    upstream.fail("GET", "/v1/sessions/.*", answer(200, ROW | {"messages": {"items": []}}))
    async with connect() as client:
        assert "could not be read" in await client.error("get_session", session_id="devin-1")


async def test_new_session_with_invalid_url_keeps_its_id(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", "/v1/sessions", answer(200, {"session_id": "devin-new", "url": 5}))
    async with connect() as client:
        assert await client.create_session() == "devin-new"


async def test_decompression_bomb_is_refused(connect: Connect, upstream: Upstream) -> None:
    bomb = gzip.compress(b" " * 80_000_000)
    upstream.fail("GET", "/v1/sessions", answer(200, bomb, content_encoding="gzip"))
    async with connect() as client:
        assert "too large or damaged" in await client.error("list_sessions")
    assert upstream.count("GET") == 1
