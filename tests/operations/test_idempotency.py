"""idempotency_key: the same key never starts a second session."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devin_mcp.keys import DevinApi
from tests.clock import AutoClock, ManualClock, advance_during
from tests.conftest import Connect, ToolClient
from tests.fake_session import SESSION, SESSIONS, FakeSession, listed, pages_of
from tests.operations.delegations import session_bodies
from tests.upstream import Upstream, answer, delay_reply, lose_reply

pytestmark = pytest.mark.usefixtures("api")


async def test_repeated_calls_with_lost_replies_start_one_session_per_key(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    """Every other reply is lost, and the caller repeats each failed call until it succeeds."""

    async def delegate_until_it_succeeds(client: ToolClient, number: int) -> str:
        while True:
            result = await client(
                "delegate_task", prompt=f"part {number}", idempotency_key=f"part {number}"
            )
            if not result.is_error and result.structured_content is not None:
                return str(result.structured_content["session_id"])

    async def advance_forever() -> None:
        while True:
            await manual_clock.advance(1, until_asleep=1)

    upstream.sandbox.parallel = upstream.organization.parallel = 50
    upstream.fail("POST", SESSIONS, *[lose_reply, answer(502)] * 20)
    upstream.fail("GET", SESSIONS, *[answer(503), listed()] * 20)
    async with connect(manual_clock=manual_clock) as client:
        driving = asyncio.ensure_future(advance_forever())
        ids = await asyncio.gather(
            *(delegate_until_it_succeeds(client, number) for number in range(8) for _ in range(3))
        )
        driving.cancel()
        await asyncio.wait({driving})
    assert len(set(ids)) == 8 == len(upstream.organization.sessions)


async def test_same_key_and_prompt_return_the_same_session(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    (files / "a.txt").write_text("a")
    async with connect(files_root=files) as client:
        task = {"prompt": "p", "repository": "acme/shop-api", "files": ["a.txt"]}
        first = await client.ok("delegate_task", **task, idempotency_key="issue 12")
        (files / "a.txt").unlink()
        again = await client.ok("delegate_task", **task, idempotency_key="issue 12")
    assert again["session_id"] == first["session_id"]
    assert again["tag"] == first["tag"]
    assert (first["is_new_session"], again["is_new_session"]) == (True, False)
    assert "same idempotency_key" in again["remark"]
    assert len(session_bodies(upstream)) == 1


async def test_another_key_with_the_same_prompt_starts_another_session(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="p", idempotency_key="issue 12")
        second = await client.ok("delegate_task", prompt="p", idempotency_key="issue 13")
    assert first["tag"] != second["tag"]
    assert list(upstream.organization.sessions) == [first["session_id"], second["session_id"]]


async def test_same_key_with_another_prompt_is_refused(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        text = await client.error("delegate_task", prompt="q", idempotency_key="k")
    assert first["session_id"] in text
    assert "another idempotency_key" in text
    assert len(session_bodies(upstream)) == 1


async def test_key_is_recognized_after_a_restart(
    connect: Connect, upstream: Upstream, clock: AutoClock, files: Path, api: DevinApi
) -> None:
    (files / "a.txt").write_text("a")
    async with connect(files_root=files) as client:
        first = await client.ok("delegate_task", prompt="p", files=["a.txt"], idempotency_key="k")
    clock.skip(1)
    async with connect(files_root=files) as client:
        working = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        clock.skip(10)
        idle = await client.ok("delegate_task", prompt=" p", files=["a.txt"], idempotency_key="k")
        refused = await client.error("delegate_task", prompt="other", idempotency_key="k")
    assert working["session_id"] == idle["session_id"] == first["session_id"]
    # on v1 the prompt can be compared only once the messages are readable
    assert ("cannot be read while Devin works" in working["remark"]) is (api == "v1")
    assert "cannot be read" not in idle["remark"]
    assert first["session_id"] in refused
    assert len(session_bodies(upstream)) == 1


async def test_earlier_session_can_be_waited_for(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        await client.ok("delegate_task", prompt="p", idempotency_key="k")
        delegating = client.ok("delegate_task", prompt="p", idempotency_key="k", max_wait_s=30)
        again = await advance_during(manual_clock, delegating, 6, 6)
    assert again["phase"] == "waiting"


async def test_earlier_session_is_returned_although_it_is_unreadable(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        upstream.fail("GET", SESSION, *[answer(500)] * 4)
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert (again["session_id"], again["is_new_session"]) == (first["session_id"], False)
    assert "could not be read" in again["remark"]


async def test_concurrent_calls_with_one_key_start_one_session(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        results = await asyncio.gather(
            *(client.ok("delegate_task", prompt="p", idempotency_key="k") for _ in range(20))
        )
    assert len({result["session_id"] for result in results}) == 1
    assert sum(result["is_new_session"] for result in results) == 1
    assert len(session_bodies(upstream)) == 1


async def test_cancelled_start_is_returned_to_the_next_call(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", SESSIONS, delay_reply(gate))
    upstream.fail("GET", SESSIONS, *[listed()] * 9)  # not listed yet
    async with connect() as client:
        first = asyncio.ensure_future(client("delegate_task", prompt="p", idempotency_key="k"))
        await upstream.wait_for("POST", SESSIONS)
        first.cancel()
        await asyncio.wait({first})
        second = asyncio.ensure_future(client.ok("delegate_task", prompt="p", idempotency_key="k"))
        await asyncio.sleep(0.1)  # it waits for the first call's request
        assert not second.done()
        gate.set()
        result = await second
    assert list(upstream.organization.sessions) == [result["session_id"]]
    assert result["is_new_session"] is False


async def test_lost_start_is_searched_for_before_another_is_made(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    upstream.fail("POST", SESSIONS, lose_reply)
    requests_per_search = {"v1": 1, "v3": 2}[api]
    upstream.fail("GET", SESSIONS, *[listed()] * 8 * requests_per_search)
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p", idempotency_key="k")
        assert "may still appear" in text
        result = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert list(upstream.organization.sessions) == [result["session_id"]]


OTHERS = [FakeSession(f"devin-{number}", fields={"tags": ["x"]}) for number in range(3000)]
"""Sessions without the tag, as from an API that ignores the tag filter."""


async def test_session_is_found_although_the_tag_filter_is_ignored(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    row = FakeSession(first["session_id"], fields={"tags": [first["tag"]]})
    upstream.fail("GET", SESSIONS, *[pages_of(*OTHERS[:205], row)] * 9)
    async with connect() as client:
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert again["session_id"] == first["session_id"]
    assert len(session_bodies(upstream)) == 1


async def test_ignored_tag_filter_returns_no_other_session(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", idempotency_key="k")
    upstream.fail("GET", SESSIONS, *[pages_of(*OTHERS)] * 10)
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p", idempotency_key="k")
    assert "Nothing was started" in text
    assert len(session_bodies(upstream)) == 1


async def test_second_session_with_the_same_key_is_reported(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        second = await client.ok("create_session", prompt="p")
    upstream.organization.sessions[second["session_id"]].tags = [first["tag"]]
    clock.skip(5)
    async with connect() as client:
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert again["session_id"] == first["session_id"]
    assert "1 more" in again["remark"]


async def test_tag_survives_an_update_of_the_tags(connect: Connect) -> None:
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="p", tags=["old"], idempotency_key="k")
        session_id, tag = delegated["session_id"], delegated["tag"]
        updated = await client.ok("update_session_tags", session_id=session_id, tags=["new"])
        again = await client.ok("update_session_tags", session_id=session_id, tags=["newer"])
        listed = await client.ok("list_sessions", tags=[tag])
    assert updated["tags"] == ["new", tag]
    assert again["tags"] == ["newer", tag]
    assert [row["session_id"] for row in listed["sessions"]] == [session_id]


async def test_tagged_session_takes_at_most_49_further_tags(connect: Connect) -> None:
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        text = await client.error(
            "update_session_tags",
            session_id=delegated["session_id"],
            tags=[f"t{number}" for number in range(50)],
        )
    assert "would have 51 tags" in text


async def test_all_tags_of_an_untagged_session_can_be_removed(connect: Connect) -> None:
    async with connect() as client:
        session_id = await client.create_session(tags=["a"])
        updated = await client.ok("update_session_tags", session_id=session_id, tags=[])
    assert updated["tags"] == []
