"""Delegating: a task handed over with all it needs, never twice, whatever happens to the reply."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.operations.idempotency import PREFIX
from tests.clock import AutoClock, ManualClock, advance_during
from tests.conftest import Connect, Era
from tests.upstream import Exchange, Fault, Upstream, answer, dropped, halved, lost, silent, slow

SESSIONS = "/v1/sessions"


def started(upstream: Upstream) -> list[Any]:
    """The bodies of the sessions that really exist."""
    return [life.body for life in upstream.organization.sessions.values()]


async def test_a_whole_job_in_one_call(
    connect: Connect, upstream: Upstream, files: Path, era: Era
) -> None:
    (files / "log.txt").write_text("it crashed")
    async with connect(era=era, files_root=files) as client:
        url = (await client.ok("upload_attachment", content="x", name="Übersicht 1.csv"))["url"]
        made = await client.ok(
            "delegate_task",
            prompt="Mend the crash",
            title="Crash",
            repository="acme/shop",
            playbook="!fixtest",
            knowledge=["commit messages", "note-0002", "Commit messages"],
            files=["log.txt", url],
            tags=["mine"],
            max_acu_limit=5,
            structured_output_schema={"type": "object"},
        )
    (body,) = started(upstream)
    text, empty, first, second = body["prompt"].rsplit("\n", 3)
    assert text == "Mend the crash\n\nRepository: acme/shop"
    assert empty == ""
    assert re.fullmatch(
        r'ATTACHMENT:"https://sandbox.invalid/attachments/[0-9a-f-]+/log.txt"', first
    )
    assert second == f'ATTACHMENT:"{url}"'
    assert (body["title"], body["max_acu_limit"], body["structured_output_schema"]) == (
        "Crash",
        5,
        {"type": "object"},
    )
    assert (body["playbook_id"], body["knowledge_ids"]) == (
        "playbook-0001",
        ["note-0001", "note-0002"],
    )
    assert body["tags"] == ["mine", made["tag"]]
    assert made["tag"].startswith(PREFIX)
    assert made["is_new_session"] is True
    assert made["phase"] == "starting"
    assert made["url"].endswith(made["session_id"].removeprefix("devin-"))
    assert "sessions" not in made
    assert "devin_wait_for_sessions" in made["next"]


async def test_it_goes_on_as_the_wait_does(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        made = await advance_during(
            manual_clock,
            client.ok("delegate_task", prompt="Mend the crash", max_wait_s=45),
            6,
            6,
            6,
        )
        (row,) = made["sessions"]
        assert row["session_id"] == made["session_id"]
        assert made["phase"] == row["phase"] == "waiting"
        assert row["messages"][-1]["type"] == "devin_message"
        assert "devin_send_message" in made["next"]
        wait = client.ok(
            "wait_for_sessions",
            session_ids=[made["session_id"]],
            cursor=made["cursor"],
            max_wait_s=1,
        )
        again = await advance_during(manual_clock, wait, 2)
    assert "messages" not in again["sessions"][0]
    assert upstream.count("POST", SESSIONS) == 1


@pytest.mark.parametrize("said", ["playbook-0001", "!FixTest", " fix a failing TEST "])
async def test_a_playbook_is_known_by_id_macro_or_title(
    connect: Connect, upstream: Upstream, said: str
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", playbook=said)
    assert started(upstream)[0]["playbook_id"] == "playbook-0001"


async def test_a_playbook_that_is_not_listed_is_asked_for_by_its_id(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail(
        "GET",
        "/v1/playbooks/playbook-mine",
        answer(200, {"playbook_id": "playbook-mine", "title": "Mine"}),
    )
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", playbook="playbook-mine")
    assert started(upstream)[0]["playbook_id"] == "playbook-mine"


async def test_knowledge_absent_is_all_and_empty_is_none(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="all")
        await client.ok("delegate_task", prompt="none", knowledge=[])
    assert [body.get("knowledge_ids") for body in started(upstream)] == [None, []]
    assert upstream.count("GET", "/v1/knowledge") == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"playbook": "!fixtst"},
            r'None of the 6 playbooks .*"Fix a failing test" \(playbook-0001\).*devin_list_playbooks',
        ),
        ({"playbook": "review"}, r'Perhaps .*"Review a pull request" \(playbook-0005\)'),
        (
            {"knowledge": ["style"]},
            r'"Python style" \(note-0002\), "TypeScript style" \(note-0003\)',
        ),
        ({"files": ["good.txt", "missing.txt"]}, "no file that can be read"),
        ({"files": ["../secret.txt"]}, "outside the allowed directories"),
        ({"files": ["https://evil.example/x"]}, "no attachment's"),
        ({"structured_output_schema": {"type": "nonsense"}}, "not valid JSON Schema"),
        ({"tags": ["devin-mcp-mine"]}, "this server's own"),
        ({"tags": [f"t{n}" for n in range(50)]}, "tags"),
        ({"repository": "shop"}, "repository"),
        ({"max_acu_limit": 9}, "--max-acu"),
        ({"prompt": "p" * 29_990, "repository": "acme/shop"}, "30013 characters"),
        ({"idempotency_key": ""}, "idempotency_key"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_sent(
    connect: Connect, upstream: Upstream, files: Path, wrong: dict[str, Any], says: str
) -> None:
    (files / "good.txt").write_text("good")
    (files.parent / "secret.txt").write_text("secret")
    async with connect(files_root=files, max_acu=5) as client:
        text = await client.error("delegate_task", **{"prompt": "p", **wrong})
    assert re.search(says, text)
    assert upstream.count("POST") == 0


async def test_a_name_that_two_have_names_both(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        await client.ok("create_playbook", title="Triage an issue", body="b")
        text = await client.error("delegate_task", prompt="p", playbook="triage an issue")
    assert "More than one playbook" in text
    assert "(playbook-0004)" in text
    assert started(upstream) == []


async def test_over_http_files_are_urls(connect: Connect, upstream: Upstream) -> None:
    async with connect(transport="http", DEVIN_APP_URL="https://sandbox.invalid") as client:
        assert "devin_upload_attachment" in await client.error(
            "delegate_task", prompt="p", files=["log.txt"]
        )
        url = (await client.ok("upload_attachment", content="x", name="a.csv"))["url"]
        elsewhere = url.replace("sandbox.invalid", "evil.example") + "?x=1"
        await client.ok("delegate_task", prompt="p", files=[elsewhere])
    assert started(upstream)[0]["prompt"].endswith(f'\n\nATTACHMENT:"{url}"')


async def test_where_the_web_app_is_not_known_the_address_is_made_plain(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok(
            "delegate_task",
            prompt="p",
            files=["https://acme.example:8443/x/attachments/1-2/Über%20uns.txt?sig=3#4"],
        )
        for odd in (
            'https://a"\n/attachments/1-2/a.txt',
            "https://user:pass@a/attachments/1-2/a.txt",
        ):
            assert "files[1] names no file" in await client.error(
                "delegate_task", prompt="p", files=[odd]
            )
    line = started(upstream)[0]["prompt"].splitlines()[-1]
    assert line == 'ATTACHMENT:"https://acme.example:8443/attachments/1-2/%C3%9Cber%20uns.txt"'


async def test_an_upload_that_fails_starts_nothing_and_what_was_uploaded_is_told(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    for name in ("a.txt", "b.txt"):
        (files / name).write_text(name)

    async def second_time(exchange: Any) -> None:
        upstream.fail("POST", "/v1/attachments", lost)
        done = await exchange.forward(exchange.seen)
        await exchange.reply(done.status_code, done.content, {"content-type": "application/json"})

    upstream.fail("POST", "/v1/attachments", second_time)
    async with connect(files_root=files) as client:
        text = await client.error("delegate_task", prompt="p", files=["a.txt", "b.txt"])
    assert "No session was started" in text
    assert re.search(
        r"to be given as files: https://sandbox.invalid/attachments/[0-9a-f-]+/a.txt", text
    )
    assert started(upstream) == []


@pytest.mark.parametrize("fault", [lost, halved, answer(502, b"")], ids=["lost", "halved", "502"])
async def test_a_lost_reply_is_looked_for_by_its_tag(
    connect: Connect, upstream: Upstream, fault: Fault, era: Era
) -> None:
    async def failing(exchange: Any) -> None:
        if fault not in (lost, halved):
            await exchange.forward(exchange.seen)
        await fault(exchange)

    upstream.fail("POST", SESSIONS, failing)
    async with connect(era=era, max_acu=7) as client:
        made = await client.ok("delegate_task", prompt="p")
    assert [life.session_id for life in upstream.organization.sessions.values()] == [
        made["session_id"]
    ]
    assert made["is_new_session"] is True
    assert "reply was lost" in made["remark"]
    assert upstream.count("POST", SESSIONS) == 1


async def test_it_is_found_even_when_looking_fails_at_first_and_then_waited_for(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("POST", SESSIONS, lost)
    upstream.fail("GET", SESSIONS, answer(500), answer(200, {"sessions": []}))
    async with connect(manual_clock=manual_clock) as client:
        made = await advance_during(
            manual_clock, client.ok("delegate_task", prompt="p", max_wait_s=30), 1, 2, 3, 6, 6
        )
    assert made["sessions"][0]["phase"] == "waiting"
    assert "reply was lost" in made["remark"]


async def test_a_session_that_does_not_appear_is_doubt_with_the_tag_to_look_for(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail("POST", SESSIONS, dropped)
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p")
    (tag,) = upstream.requests[0].json["tags"]
    assert f"tags=[{tag}]" in text
    assert "may still appear and cost ACUs" in text
    assert upstream.count("GET", SESSIONS) == 5
    assert sum(clock.waits) < 12


async def test_a_refusal_is_a_refusal(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        assert "ACUs" in await client.error(
            "delegate_task", prompt="sandbox:quota", idempotency_key="k"
        )
        assert "devin_terminate_session" in await client.error(
            "delegate_task", prompt="sandbox:session-limit", idempotency_key="k"
        )
    assert started(upstream) == []


async def test_the_house_may_forbid_another_start_before_anything_is_uploaded(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    (files / "a.txt").write_text("a")
    async with connect(files_root=files, max_sessions=0) as client:
        assert "--max-sessions" in await client.error("delegate_task", prompt="p", files=["a.txt"])
    assert upstream.requests == []


# idempotency_key: the same key never starts a second session


async def test_the_same_key_and_prompt_is_the_same_session(
    connect: Connect, upstream: Upstream, files: Path, era: Era
) -> None:
    (files / "a.txt").write_text("a")
    async with connect(era=era, files_root=files) as client:
        first = await client.ok(
            "delegate_task",
            prompt="p",
            repository="a/b",
            files=["a.txt"],
            idempotency_key="issue 12",
        )
        (files / "a.txt").unlink()
        again = await client.ok(
            "delegate_task",
            prompt="p",
            repository="a/b",
            files=["a.txt"],
            idempotency_key="issue 12",
        )
        other = await client.ok(
            "delegate_task", prompt="p", repository="a/b", idempotency_key="issue 13"
        )
    assert again["session_id"] == first["session_id"]
    assert (first["is_new_session"], again["is_new_session"]) == (True, False)
    assert first["tag"] == again["tag"] != other["tag"]
    assert "same idempotency_key" in again["remark"]
    assert len(started(upstream)) == 2


async def test_the_same_key_with_another_prompt_is_refused_naming_the_session(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        text = await client.error("delegate_task", prompt="q", idempotency_key="k")
    assert first["session_id"] in text
    assert "another idempotency_key" in text
    assert len(started(upstream)) == 1


async def test_after_a_restart_the_tag_tells(
    connect: Connect, upstream: Upstream, clock: AutoClock, files: Path
) -> None:
    (files / "a.txt").write_text("a")
    async with connect(files_root=files) as client:
        first = await client.ok("delegate_task", prompt="p", files=["a.txt"], idempotency_key="k")
    clock.skip(1)
    async with connect(files_root=files) as client:
        working = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        clock.skip(10)
        same = await client.ok("delegate_task", prompt=" p", files=["a.txt"], idempotency_key="k")
        refused = await client.error("delegate_task", prompt="other", idempotency_key="k")
    assert working["session_id"] == same["session_id"] == first["session_id"]
    assert "cannot be read while Devin works" in working["remark"]
    assert "cannot be read" not in same["remark"]
    assert first["session_id"] in refused
    assert len(started(upstream)) == 1


async def test_an_earlier_session_can_be_waited_for_too(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        await client.ok("delegate_task", prompt="p", idempotency_key="k")
        again = await advance_during(
            manual_clock,
            client.ok("delegate_task", prompt="p", idempotency_key="k", max_wait_s=30),
            6,
            6,
        )
    assert again["sessions"][0]["phase"] == again["phase"] == "waiting"


async def test_many_calls_with_one_key_start_one_session(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        made = await asyncio.gather(
            *(client.ok("delegate_task", prompt="p", idempotency_key="k") for _ in range(20))
        )
    assert len({one["session_id"] for one in made}) == 1
    assert sum(one["is_new_session"] for one in made) == 1
    assert len(started(upstream)) == 1


async def test_who_goes_away_while_it_is_on_the_wire_leaves_it_to_the_next(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", SESSIONS, slow(gate))
    upstream.fail("GET", SESSIONS, *[answer(200, {"sessions": []})] * 9)  # the list is behind
    async with connect() as client:
        first = asyncio.ensure_future(client("delegate_task", prompt="p", idempotency_key="k"))
        await upstream.until("POST", SESSIONS)
        first.cancel()
        await asyncio.wait({first})
        second = asyncio.ensure_future(client.ok("delegate_task", prompt="p", idempotency_key="k"))
        await asyncio.sleep(0.1)
        assert not second.done()
        gate.set()
        made = await second
    assert [life.session_id for life in upstream.organization.sessions.values()] == [
        made["session_id"]
    ]
    assert made["is_new_session"] is False


async def test_after_doubt_the_same_key_looks_again_before_it_starts(
    connect: Connect, upstream: Upstream
) -> None:
    hidden = [answer(200, {"sessions": []})] * 8
    upstream.fail("POST", SESSIONS, lost)
    upstream.fail("GET", SESSIONS, *hidden)
    async with connect() as client:
        assert "may still appear" in await client.error(
            "delegate_task", prompt="p", idempotency_key="k"
        )
        made = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert [life.session_id for life in upstream.organization.sessions.values()] == [
        made["session_id"]
    ]


async def test_a_reply_that_comes_late_ends_the_search(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", SESSIONS, slow(gate))
    upstream.fail("GET", SESSIONS, *[answer(200, {"sessions": []})] * 2)

    async def open_gate() -> None:
        await upstream.until("GET", SESSIONS, 2)
        gate.set()
        await asyncio.sleep(0.05)

    async with connect(deadline=14.2, timeout=50) as client:
        opening = asyncio.ensure_future(open_gate())
        made = await client.ok("delegate_task", prompt="p")
        await opening
    assert [life.session_id for life in upstream.organization.sessions.values()] == [
        made["session_id"]
    ]


async def test_a_filter_that_is_not_honoured_adopts_no_strangers_session(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        mine = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        strange = [
            {"session_id": f"devin-{n}", "tags": ["x"], "status_enum": "working"}
            for n in range(100)
        ]
        row = {"session_id": mine["session_id"], "tags": [mine["tag"]], "status_enum": "working"}
    async with connect() as client:
        upstream.fail(
            "GET",
            SESSIONS,
            answer(200, {"sessions": strange}),
            answer(200, {"sessions": [*strange[:5], row]}),
        )
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert again["session_id"] == mine["session_id"]
    async with connect() as client:
        upstream.fail("GET", SESSIONS, *[answer(200, {"sessions": strange})] * 10)
        text = await client.error("delegate_task", prompt="p", idempotency_key="k")
    assert "Nothing was started" in text
    assert len(started(upstream)) == 1


async def test_two_sessions_with_one_key_are_told(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        await client.ok("create_session", prompt="p", tags=[first["tag"]])
    clock.skip(5)
    async with connect() as client:
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert again["session_id"] == first["session_id"]
    assert "1 more" in again["remark"]


async def test_the_tag_survives_an_update_of_tags(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        made = await client.ok("delegate_task", prompt="p", tags=["old"], idempotency_key="k")
        updated = await client.ok(
            "update_session_tags", session_id=made["session_id"], tags=["new"]
        )
        assert updated["tags"] == ["new", made["tag"]]
        assert (
            await client.ok(
                "update_session_tags", session_id=made["session_id"], tags=updated["tags"]
            )
        )["tags"] == updated["tags"]
        too_many = await client.error(
            "update_session_tags", session_id=made["session_id"], tags=[f"t{n}" for n in range(50)]
        )
        assert "at most 49" in too_many
        assert (await client.ok("list_sessions", tags=[made["tag"]]))["sessions"][0][
            "session_id"
        ] == made["session_id"]
        plain = await client.ok("create_session", prompt="q", tags=["a"])
        assert (await client.ok("update_session_tags", session_id=plain["session_id"], tags=[]))[
            "tags"
        ] == []


async def test_no_time_left_starts_nothing(connect: Connect, upstream: Upstream) -> None:
    async with connect(deadline=13.9) as client:
        text = await client.error("delegate_task", prompt="p")
    assert "Nothing was changed" in text
    assert started(upstream) == []


async def test_the_id_is_in_the_answer_when_waiting_fails(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("GET", f"{SESSIONS}/.*", *[answer(403, {"detail": "no"})] * 5)
    async with connect() as client:
        made = await client.ok("delegate_task", prompt="p", max_wait_s=20)
    assert made["session_id"] in upstream.organization.sessions


async def test_silence_ends_in_time_with_the_session_found(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", SESSIONS, silent)
    async with connect(timeout=0.3) as client:
        made = await client.ok("delegate_task", prompt="p")
    assert [life.session_id for life in upstream.organization.sessions.values()] == [
        made["session_id"]
    ]


@pytest.mark.parametrize("status", [408, 499])
async def test_a_gateway_that_gives_up_waiting_is_no_refusal(
    connect: Connect, upstream: Upstream, status: int
) -> None:
    async def done_and_given_up(exchange: Exchange) -> None:
        await exchange.forward(exchange.seen)
        await exchange.reply(status, b"", {})

    upstream.fail("POST", "/v1/sessions", done_and_given_up)
    async with connect() as client:
        made = await client.ok("delegate_task", prompt="p")
    assert list(upstream.organization.sessions) == [made["session_id"]]
    assert "reply was lost" in made["remark"]


async def test_a_session_that_cannot_be_read_just_now_is_named_all_the_same(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        made = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        upstream.fail("GET", "/v1/sessions/.*", *[answer(500)] * 4)
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert (again["session_id"], again["is_new_session"]) == (made["session_id"], False)
    assert "could not be read" in again["remark"]


async def test_a_title_of_one_word_is_not_taken_for_an_id(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("GET", "/v1/playbooks/Deploy", answer(422, {"detail": "no such id"}))
    async with connect() as client:
        book = await client.ok("create_playbook", title="Deploy", body="b")
        made = await client.ok("delegate_task", prompt="p", playbook="Deploy")
    assert (
        upstream.organization.sessions[made["session_id"]].body["playbook_id"]
        == book["playbook_id"]
    )
