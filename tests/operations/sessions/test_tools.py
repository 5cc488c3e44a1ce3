"""Sessions, from the first prompt to the pull request."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect, Era
from tests.upstream import Upstream, answer, lost


async def test_a_task_is_handed_over_asked_about_answered_and_delivered(
    connect: Connect, upstream: Upstream, clock: AutoClock, era: Era
) -> None:
    async with connect(era=era) as client:
        made = await client.ok(
            "create_session", prompt="Add a check to shop-api", title="Check", tags=["mine"]
        )
        session_id = made["session_id"]
        assert made["phase"] == "starting"
        assert made["url"].endswith(session_id.removeprefix("devin-"))

        clock.skip(2)
        working = await client.ok("get_session", session_id=session_id)
        assert (working["phase"], working["messages"]) == ("working", [])

        clock.skip(1.2)
        early = await client.ok("get_session", session_id=session_id)
        assert early["phase"] == "waiting"
        assert "not readable yet" in early["next"]

        clock.skip(1)
        asked = await client.ok("get_session", session_id=session_id)
        assert asked["messages"][-1]["type"] == "devin_message"
        assert "devin_send_message" in asked["next"]

        sent = await client.ok("send_message", session_id=session_id, message="strict")
        assert sent["delivered"] is True
        clock.skip(4)
        done = await client.ok("get_session", session_id=session_id)
        assert done["phase"] == "done"
        assert done["pull_requests"][0]["url"].startswith("https://")
        assert "pull request" in done["next"]
    assert upstream.requests[0].json == {
        "prompt": "Add a check to shop-api",
        "title": "Check",
        "tags": ["mine"],
    }


@pytest.mark.parametrize(
    ("status_enum", "phase"),
    [
        (None, "starting"),
        ("working", "working"),
        ("running", "working"),
        ("RUNNING", "working"),
        ("claimed", "working"),
        ("resumed", "working"),
        ("resume_requested", "working"),
        ("resume_requested_frontend", "working"),
        ("blocked", "waiting"),
        ("finished", "done"),
        ("suspend_requested", "sleeping"),
        ("suspend_requested_frontend", "sleeping"),
        ("suspended", "sleeping"),
        ("expired", "ended"),
        ("stopped", "ended"),
        ("hibernating_on_mars", "working"),
    ],
)
async def test_the_phase_follows_from_status_enum_alone_in_list_and_get(
    connect: Connect, upstream: Upstream, status_enum: str | None, phase: str
) -> None:
    row = {
        "session_id": "devin-1",
        "status": "whatever",
        "status_enum": status_enum,
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "x",
    }
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": [row]}))
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, row))
    async with connect() as client:
        listed = (await client.ok("list_sessions"))["sessions"][0]
        got = await client.ok("get_session", session_id="devin-1")
    assert listed["phase"] == got["phase"] == phase
    assert listed.get("status_enum") == got.get("status_enum") == status_enum


async def test_pages_of_sessions_can_be_walked_to_the_end(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        for place in range(5):
            await client.ok("create_session", prompt=f"sandbox:quick task {place}")
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await client.ok("list_sessions", limit=2, cursor=cursor)
            seen += [row["session_id"] for row in page["sessions"]]
            cursor = page.get("next_cursor")
            if cursor is None:
                break
    assert seen == list(reversed(upstream.organization.sessions))


async def test_an_empty_list_says_what_to_do_and_the_default_page_has_twenty(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        empty = await client.ok("list_sessions")
    assert empty["sessions"] == []
    assert "devin_delegate_task" in empty["next"]
    assert upstream.requests[0].query == "limit=20&offset=0"


async def test_list_filters_travel_in_devins_own_form(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        await client.ok("list_sessions", tags=["a", "b"], user_email="me@example.com", limit=5)
    assert (
        upstream.requests[0].query == "limit=5&offset=0&tags=a&tags=b&user_email=me%40example.com"
    )


async def test_every_field_of_a_session_reaches_devin(connect: Connect, upstream: Upstream) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    given: dict[str, Any] = {
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
            "create_session", **given, session_secrets=[{"key": "K", "value": "shh-secret"}]
        )
    assert upstream.requests[0].json == given | {
        "session_secrets": [{"key": "K", "value": "shh-secret", "sensitive": True}]
    }


async def test_a_structured_output_comes_back_as_an_object_even_when_it_is_none(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    row = {
        "session_id": "devin-1",
        "status": "x",
        "status_enum": "finished",
        "created_at": "x",
        "updated_at": "x",
    }
    upstream.fail(
        "GET",
        "/v1/sessions/devin-1",
        answer(200, row | {"structured_output": [1, 2]}),
        answer(200, row | {"structured_output": {"a": None}}),
    )
    async with connect() as client:
        assert (await client.ok("get_session", session_id="devin-1"))["structured_output"] == {
            "value": [1, 2]
        }
        assert (await client.ok("get_session", session_id="devin-1"))["structured_output"] == {
            "a": None
        }


async def test_a_requested_structured_output_is_filled(connect: Connect, clock: AutoClock) -> None:
    schema = '{"type": "object", "properties": {"tests": {"type": "integer"}, "names": {"type": "array", "items": {"type": "string"}}}}'
    async with connect() as client:
        made = await client.ok(
            "create_session", prompt="sandbox:quick", structured_output_schema=schema
        )
        clock.skip(4)
        got = await client.ok("get_session", session_id=made["session_id"])
    assert got["structured_output"] == {"tests": 1, "names": ["simulated"]}
    assert "delivered" in got["next"]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "objekt"}, "not valid JSON Schema"),
        ({"$ref": "https://example.com/s.json"}, "outside itself"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, "draft 7"),
        ({"description": "x" * 66_000}, "65536"),
    ],
)
async def test_a_bad_output_schema_is_refused_before_money_is_spent(
    connect: Connect, upstream: Upstream, schema: dict[str, Any], says: str
) -> None:
    async with connect() as client:
        assert says in await client.error(
            "create_session", prompt="p", structured_output_schema=schema
        )
    assert upstream.requests == []


async def test_the_house_cap_applies_and_cannot_be_exceeded(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(max_acu=5) as client:
        made = await client.ok("create_session", prompt="p")
        assert made["max_acu_limit"] == 5
        refused = await client.error("create_session", prompt="p", max_acu_limit=6)
        assert "--max-acu" in refused
        await client.ok("create_session", prompt="p", max_acu_limit=2)
    assert [seen.json["max_acu_limit"] for seen in upstream.requests] == [5, 2]


async def test_sessions_per_hour_are_limited_and_the_refusal_names_the_flag(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect(max_sessions=2) as client:
        await client.error(
            "create_session", prompt="sandbox:quota"
        )  # refused by Devin, so not counted
        await client.ok("create_session", prompt="one")
        await client.ok("create_session", prompt="two")
        assert "--max-sessions" in await client.error("create_session", prompt="three")
        clock.skip(3601)
        await client.ok("create_session", prompt="four")
    assert len(upstream.organization.sessions) == 3


async def test_an_earlier_session_is_called_one_and_not_counted(connect: Connect) -> None:
    async with connect(max_sessions=2) as client:
        first = await client.ok("create_session", prompt="same", idempotent=True)
        again = await client.ok("create_session", prompt="same", idempotent=True)
        assert (again["session_id"], again["is_new_session"]) == (first["session_id"], False)
        assert "earlier session" in again["next"]
        await client.ok("create_session", prompt="other")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [("sandbox:quota", "out of quota"), ("sandbox:session-limit", "Too many sessions")],
)
async def test_refusals_that_are_about_money_say_so(
    connect: Connect, prompt: str, says: str
) -> None:
    async with connect() as client:
        text = await client.error("create_session", prompt=prompt)
    assert says in text
    assert "Nothing was started" in text or "nothing was started" in text


async def test_a_message_to_a_starting_session_is_waited_for(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        made = await client.ok("create_session", prompt="p")
        await client.ok("send_message", session_id=made["session_id"], message="one more thing")
    assert len(clock.waits) == 1
    assert upstream.count("POST", ".*/message") == 2


async def test_a_session_that_never_gets_ready_is_reported_within_the_calls_time(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail(
        "POST", ".*/message", *[answer(400, {"detail": "Devin session still initializing"})] * 99
    )
    async with connect() as client:
        text = await client.error("send_message", session_id="devin-1", message="hello")
    assert "still starting" in text
    assert 40 < sum(clock.waits) < 50


@pytest.mark.parametrize("script", ["expire", "quick"])
async def test_a_session_that_is_over_takes_no_messages_and_says_what_to_do(
    connect: Connect, clock: AutoClock, script: str
) -> None:
    async with connect() as client:
        made = await client.ok("create_session", prompt=f"sandbox:{script}")
        clock.skip(4)
        if script == "quick":
            await client.ok("terminate_session", session_id=made["session_id"])
        text = await client.error("send_message", session_id=made["session_id"], message="hello?")
        shown = await client.ok("get_session", session_id=made["session_id"])
    assert "takes no messages" in text
    assert "devin_delegate_task" in text
    assert shown["phase"] == "ended"


async def test_a_sleeping_session_is_woken_by_a_message(connect: Connect, clock: AutoClock) -> None:
    async with connect() as client:
        made = await client.ok("create_session", prompt="sandbox:sleep")
        clock.skip(4)
        assert (await client.ok("get_session", session_id=made["session_id"]))[
            "phase"
        ] == "sleeping"
        sent = await client.ok("send_message", session_id=made["session_id"], message="wake up")
    assert "suspended" in sent["detail"]


async def test_terminating_is_true_after_a_lost_reply_and_after_a_repetition(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        made = await client.ok("create_session", prompt="sandbox:forever")
        clock.skip(2)
        upstream.fail("DELETE", "/v1/sessions/.*", lost)
        first = await client.ok("terminate_session", session_id=made["session_id"])
        again = await client.ok("terminate_session", session_id=made["session_id"])
    assert first["terminated"] is True
    assert first["phase"] == again["phase"] == "ended"
    assert upstream.count("DELETE") == 3


async def test_a_refusal_to_terminate_a_running_session_stays_a_refusal(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail("DELETE", "/v1/sessions/.*", answer(400, {"detail": "Not now"}))
    async with connect() as client:
        made = await client.ok("create_session", prompt="sandbox:forever")
        clock.skip(2)
        text = await client.error("terminate_session", session_id=made["session_id"])
        assert "Not now" in text
        assert "404" in await client.error("terminate_session", session_id="devin-unknown")


async def test_tags_are_replaced_and_at_most_fifty(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        made = await client.ok("create_session", prompt="p", tags=["old"])
        await client.ok("update_session_tags", session_id=made["session_id"], tags=["new", "newer"])
        assert "50" in await client.error(
            "update_session_tags", session_id=made["session_id"], tags=[str(n) for n in range(51)]
        )
        listed = await client.ok("list_sessions", tags=["new"])
    assert listed["sessions"][0]["tags"] == ["new", "newer"]


async def test_a_dedicated_host_gets_links_only_when_its_web_app_is_known(connect: Connect) -> None:
    async with connect() as client:
        await client.ok("create_session", prompt="p")
        assert "url" not in (await client.ok("list_sessions"))["sessions"][0]
    async with connect(DEVIN_APP_URL="https://devin.example.com") as client:
        row = (await client.ok("list_sessions"))["sessions"][0]
    assert re.fullmatch(r"https://devin\.example\.com/sessions/[0-9a-f]{32}", row["url"])


async def test_a_doubt_about_an_end_stays_when_it_cannot_be_settled(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        made = await client.ok("create_session", prompt="p")
        upstream.fail("DELETE", ".*", *[lost] * 4)
        upstream.fail("GET", "/v1/sessions/.*", answer(500))
        upstream.fail("DELETE", ".*", answer(400, {"detail": "x"}))
        text = await client.error("terminate_session", session_id=made["session_id"])
    assert "unknown" in text or "did not accept" in text
    assert "server error (500). Nothing was changed" not in text


async def test_a_filter_that_nothing_matches_is_no_reason_to_start_a_session(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        assert "Start one" in (await client.ok("list_sessions"))["next"]
        for filters in ({"tags": ["nosuch"]}, {"user_email": "a@b.c"}, {"phase": ["sleeping"]}):
            assert (await client.ok("list_sessions", **filters))[
                "next"
            ] == "No session matches; leave the filter out to see all."
