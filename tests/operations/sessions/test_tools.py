"""The session tools, from the first prompt to the pull request."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.keys import DevinApi
from devin_mcp.operations.parameters import OWN_TAG_PREFIX
from tests.clock import AutoClock
from tests.conftest import Connect
from tests.fake_session import SESSIONS, FakeSession, listed, path_of
from tests.upstream import Upstream, answer, lose_reply

pytestmark = pytest.mark.usefixtures("api")


async def test_session_goes_from_prompt_to_pull_request(
    connect: Connect, upstream: Upstream, clock: AutoClock, api: DevinApi
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
        assert working["phase"] == "working"
        readable = [message["message"] for message in working["messages"]]
        assert readable == {"v1": [], "v3": ["Add a check to shop-api"]}[api]

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
    (request,) = upstream.sent("create_session")
    assert request.json == {
        "prompt": "Add a check to shop-api",
        "title": "Check",
        "tags": ["mine"],
    }


async def test_list_and_get_show_phase_and_status(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    fake = FakeSession(status_enum="resume_requested")
    upstream.fail("GET", SESSIONS, listed(fake))
    fake.at(upstream)
    async with connect() as client:
        row = (await client.ok("list_sessions"))["sessions"][0]
        session = await client.ok("get_session", session_id="devin-1")
    assert row["phase"] == session["phase"] == "working"
    status = {"v1": ("running", "resume_requested"), "v3": ("resuming", None)}[api]
    for item in (row, session):
        assert (item["status"], item.get("status_enum")) == status


SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
FIELDS: dict[DevinApi, dict[str, Any]] = {
    "v1": {"snapshot_id": "snap-1", "idempotent": True, "unlisted": True},
    "v3": {"attachment_urls": ["https://a.example/attachments/1/a.txt"], "resumable": False},
}
"""Fields that one API alone has, and that are called alike in its request."""


async def test_create_session_sends_every_field(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    arguments: dict[str, Any] = {
        "prompt": "p",
        "title": "t",
        "tags": ["x"],
        "playbook_id": "playbook-1",
        "knowledge_ids": [],
        "secret_ids": ["s-1"],
        "max_acu_limit": 3,
        "structured_output_schema": SCHEMA,
        **FIELDS[api],
    }
    v3 = api == "v3"
    renamed = {"repositories": ["https://github.com/acme/shop"], "mode": "fast"} if v3 else {}
    async with connect() as client:
        await client.ok(
            "create_session",
            **arguments,
            **renamed,
            session_secrets=[{"key": "K", "value": "shh-secret"}],
        )
    (request,) = upstream.sent("create_session")
    assert request.json == arguments | {
        "session_secrets": [{"key": "K", "value": "shh-secret", "sensitive": True}],
        **({"repos": ["acme/shop"], "devin_mode": "fast"} if v3 else {}),
    }


async def test_structured_output_is_always_an_object(connect: Connect, upstream: Upstream) -> None:
    FakeSession(status_enum="blocked").at(upstream).then(
        {"fields": {"structured_output": [1, 2]}},
        {"fields": {"structured_output": {"a": None}}},
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
        upstream.fail_operation("terminate_session", lose_reply)
        first = await client.ok("terminate_session", session_id=session_id)
        again = await client.ok("terminate_session", session_id=session_id)
    assert first["terminated"] is True
    assert first["phase"] == again["phase"] == "ended"
    assert upstream.count("DELETE") == 3


async def test_refused_terminate_of_a_running_session_is_an_error(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail_operation("terminate_session", answer(400, {"detail": "Not now"}))
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
        upstream.fail_operation("terminate_session", *[lose_reply] * 4)
        upstream.fail_operation("get_session", *[answer(500)] * 9)
        upstream.fail_operation("terminate_session", answer(400, {"detail": "x"}))
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
    own = f"{OWN_TAG_PREFIX}1"
    _session_with_tags(upstream, ["a", own])
    async with connect() as client:
        result = await client.ok("update_session_tags", session_id="devin-1", tags=["a"], how=how)
        refused = await client.error(
            "update_session_tags", session_id="devin-1", tags=["a", own], how=how
        )
    assert own in result["tags"]
    assert "leave it out; a session keeps the one it has" in refused


async def test_tags_that_are_there_already_send_no_request(
    connect: Connect, upstream: Upstream
) -> None:
    _session_with_tags(upstream, ["a", "b"])
    async with connect() as client:
        await client.ok("update_session_tags", session_id="devin-1", tags=["b"], how="add")
    assert upstream.count("PUT") == 0


async def test_unreadable_tags_are_not_overwritten(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", path_of("devin-1"), answer(200, {"session_id": "devin-1"}))
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
