"""The session tools, from the first prompt to the pull request."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.operations.idempotency import TAG_PREFIX
from tests.clock import AutoClock
from tests.conftest import Connect
from tests.fake_session import FakeSession
from tests.upstream import Upstream, answer, lose_reply

ROW: dict[str, Any] = {
    "session_id": "devin-1",
    "status": "x",
    "status_enum": "blocked",
    "created_at": "x",
    "updated_at": "x",
}


async def test_session_goes_from_prompt_to_pull_request(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        created = await client.ok(
            "create_session", prompt="Add a check to shop-api", title="Check", tags=["mine"]
        )
        session_id = created["session_id"]
        assert created["phase"] == "starting"
        assert created["url"].endswith(session_id.removeprefix("devin-"))

        clock.skip(2)
        working = await client.ok("get_session", session_id=session_id)
        assert (working["phase"], working["messages"]) == ("working", [])

        clock.skip(1.2)
        early = await client.ok("get_session", session_id=session_id)
        assert early["phase"] == "waiting"
        assert "not readable yet" in early["next"]

        clock.skip(1)
        question = await client.ok("get_session", session_id=session_id)
        assert question["messages"][-1]["source"] == "devin"
        assert "devin_send_message" in question["next"]

        sent = await client.ok("send_message", session_id=session_id, message="strict")
        assert sent["delivered"] is True
        clock.skip(4)
        result = await client.ok("get_session", session_id=session_id)
        assert result["phase"] == "done"
        assert result["pull_requests"][0]["url"].startswith("https://")
        assert "pull request" in result["next"]
    assert upstream.requests[0].json == {
        "prompt": "Add a check to shop-api",
        "title": "Check",
        "tags": ["mine"],
    }


async def test_list_and_get_show_phase_and_status_enum(
    connect: Connect, upstream: Upstream
) -> None:
    row = ROW | {"status_enum": "resume_requested"}
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": [row]}))
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, row))
    async with connect() as client:
        listed = (await client.ok("list_sessions"))["sessions"][0]
        session = await client.ok("get_session", session_id="devin-1")
    assert listed["phase"] == session["phase"] == "working"
    assert listed["status_enum"] == session["status_enum"] == "resume_requested"


async def test_create_session_sends_every_field(connect: Connect, upstream: Upstream) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    arguments: dict[str, Any] = {
        "prompt": "p",
        "title": "t",
        "tags": ["x"],
        "playbook_id": "playbook-1",
        "knowledge_ids": [],
        "secret_ids": ["s-1"],
        "snapshot_id": "snap-1",
        "max_acu_limit": 3,
        "idempotent": True,
        "unlisted": True,
        "structured_output_schema": schema,
    }
    async with connect() as client:
        await client.ok(
            "create_session", **arguments, session_secrets=[{"key": "K", "value": "shh-secret"}]
        )
    assert upstream.requests[0].json == arguments | {
        "session_secrets": [{"key": "K", "value": "shh-secret", "sensitive": True}]
    }


async def test_structured_output_is_always_an_object(connect: Connect, upstream: Upstream) -> None:
    upstream.fail(
        "GET",
        "/v1/sessions/devin-1",
        answer(200, ROW | {"structured_output": [1, 2]}),
        answer(200, ROW | {"structured_output": {"a": None}}),
    )
    async with connect() as client:
        outputs = [
            (await client.ok("get_session", session_id="devin-1"))["structured_output"]
            for _ in range(2)
        ]
    assert outputs == [{"value": [1, 2]}, {"a": None}]


async def test_requested_structured_output_is_returned(connect: Connect, clock: AutoClock) -> None:
    properties = {
        "tests": {"type": "integer"},
        "names": {"type": "array", "items": {"type": "string"}},
    }
    schema = {"type": "object", "properties": properties}
    async with connect() as client:
        created = await client.ok(
            "create_session", prompt="sandbox:quick", structured_output_schema=schema
        )
        clock.skip(4)
        session = await client.ok("get_session", session_id=created["session_id"])
    assert session["structured_output"] == {"tests": 1, "names": ["simulated"]}
    assert "delivered" in session["next"]


@pytest.mark.parametrize(
    ("prompt", "says"),
    [("sandbox:quota", "out of quota"), ("sandbox:session-limit", "Too many sessions")],
)
async def test_refused_session_says_that_nothing_was_started(
    connect: Connect, prompt: str, says: str
) -> None:
    async with connect() as client:
        text = await client.error("create_session", prompt=prompt)
    assert says in text
    assert "Nothing was started" in text or "nothing was started" in text


async def test_terminate_succeeds_after_a_lost_reply_and_when_repeated(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        session_id = await client.create_session("sandbox:forever")
        clock.skip(2)
        upstream.fail("DELETE", "/v1/sessions/.*", lose_reply)
        first = await client.ok("terminate_session", session_id=session_id)
        again = await client.ok("terminate_session", session_id=session_id)
    assert first["terminated"] is True
    assert first["phase"] == again["phase"] == "ended"
    assert upstream.count("DELETE") == 3


async def test_refused_terminate_of_a_running_session_is_an_error(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail("DELETE", "/v1/sessions/.*", answer(400, {"detail": "Not now"}))
    async with connect() as client:
        session_id = await client.create_session("sandbox:forever")
        clock.skip(2)
        text = await client.error("terminate_session", session_id=session_id)
    assert "Not now" in text


async def test_terminate_of_an_unknown_session_is_an_error(connect: Connect) -> None:
    async with connect() as client:
        assert "404" in await client.error("terminate_session", session_id="devin-unknown")


async def test_terminate_that_cannot_be_verified_does_not_claim_no_change(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        upstream.fail("DELETE", ".*", *[lose_reply] * 4)
        upstream.fail("GET", "/v1/sessions/.*", answer(500))
        upstream.fail("DELETE", ".*", answer(400, {"detail": "x"}))
        text = await client.error("terminate_session", session_id=session_id)
    assert "unknown" in text or "did not accept" in text
    assert "server error (500). Nothing was changed" not in text


async def test_update_replaces_all_tags(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        created = await client.ok("create_session", prompt="p", tags=["old"])
        await client.ok(
            "update_session_tags", session_id=created["session_id"], tags=["new", "newer"]
        )
        listed = await client.ok("list_sessions", tags=["new"])
    assert listed["sessions"][0]["tags"] == ["new", "newer"]


def _session_with_tags(upstream: Upstream, tags: list[str]) -> None:
    FakeSession(fields={"tags": tags}).at(upstream)
    upstream.fail("PUT", "/v1/sessions/devin-1/tags", answer(200, None))


@pytest.mark.parametrize(
    ("how", "tags", "expected"),
    [
        ("replace", ["c"], ["c"]),
        ("replace", [], []),
        ("add", ["c", "a"], ["a", "b", "c"]),
        ("remove", ["a", "unknown"], ["b"]),
    ],
)
async def test_tags_are_replaced_added_or_removed(
    connect: Connect, upstream: Upstream, how: str, tags: list[str], expected: list[str]
) -> None:
    _session_with_tags(upstream, ["a", "b"])
    async with connect() as client:
        result = await client.ok("update_session_tags", session_id="devin-1", tags=tags, how=how)
    assert result["tags"] == expected
    assert upstream.requests[-1].json == {"tags": expected}


@pytest.mark.parametrize("how", ["replace", "add", "remove"])
async def test_tag_of_a_delegation_stays(connect: Connect, upstream: Upstream, how: str) -> None:
    own = f"{TAG_PREFIX}1"
    _session_with_tags(upstream, ["a", own])
    async with connect() as client:
        result = await client.ok(
            "update_session_tags", session_id="devin-1", tags=["a", own], how=how
        )
    assert own in result["tags"]


async def test_tags_that_are_there_already_send_no_request(
    connect: Connect, upstream: Upstream
) -> None:
    _session_with_tags(upstream, ["a", "b"])
    async with connect() as client:
        await client.ok("update_session_tags", session_id="devin-1", tags=["b"], how="add")
    assert upstream.count("PUT") == 0


async def test_unreadable_tags_are_not_overwritten(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, {"session_id": "devin-1"}))
    async with connect() as client:
        text = await client.error(
            "update_session_tags", session_id="devin-1", tags=["x"], how="add"
        )
    assert "did not show the session's tags" in text
    assert upstream.count("PUT") == 0


async def test_adding_more_than_50_tags_is_refused(connect: Connect, upstream: Upstream) -> None:
    _session_with_tags(upstream, [str(number) for number in range(50)])
    async with connect() as client:
        text = await client.error(
            "update_session_tags", session_id="devin-1", tags=["one more"], how="add"
        )
    assert "would have 51 tags" in text
    assert upstream.count("PUT") == 0


async def test_more_than_50_tags_are_refused(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        text = await client.error(
            "update_session_tags", session_id="devin-1", tags=[str(number) for number in range(51)]
        )
    assert "50" in text
    assert upstream.requests == []
