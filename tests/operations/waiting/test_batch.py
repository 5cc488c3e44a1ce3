"""On v3 one list request a round reads all sessions that are polled with a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, ToolClient
from tests.fake_session import EMPTY_PAGE, V3_LIST, FakeSession
from tests.operations.waiting.conversations import devin_messages_of, messages_of, wait
from tests.upstream import Exchange, Fault, Upstream, answer, delay_work

pytestmark = pytest.mark.one_api("v3", reason="v1 cannot list sessions by their ids.")

REFUSAL = answer(422, {"detail": [{"loc": ["query", "session_ids"], "msg": "Invalid id"}]})
IGNORED = answer(200, EMPTY_PAGE)


def batches(upstream: Upstream) -> list[list[str]]:
    """The ids of each list request, as they were sent."""
    queries = [parse_qs(request.query) for request in upstream.sent("sessions_by_id")]
    return [query["session_ids"] for query in queries if "session_ids" in query]


def sessions(upstream: Upstream, count: int) -> list[FakeSession]:
    """So many sessions that work."""
    return [FakeSession(f"devin-{number:032x}").at(upstream) for number in range(count)]


@asynccontextmanager
async def waiting_for(
    client: ToolClient, manual_clock: ManualClock, ids: list[str]
) -> AsyncIterator[asyncio.Task[dict[str, Any]]]:
    """A wait for these sessions, after its first round."""
    waiting = asyncio.ensure_future(client.ok("wait_for_sessions", session_ids=ids))
    await manual_clock.wait_for_sleepers(len(ids) + 1)
    yield waiting
    waiting.cancel()
    await manual_clock.wait_for_sleepers(0)


async def next_round(manual_clock: ManualClock, seconds: float, sleepers: int) -> None:
    await manual_clock.advance(seconds, until_asleep=sleepers)
    await manual_clock.wait_for_sleepers(sleepers)


async def test_round_of_16_sessions_is_one_request(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    fakes = sessions(upstream, 16)
    ids = [fake.session_id for fake in fakes]
    bare_ids = sorted(session_id.removeprefix("devin-") for session_id in ids)
    async with connect(manual_clock=manual_clock) as client, waiting_for(client, manual_clock, ids):
        for rounds in (1, 2, 3):
            assert len(batches(upstream)) == rounds
            assert sorted(batches(upstream)[-1]) == bare_ids
            await next_round(manual_clock, 13, 17)
    assert upstream.sent("get_session") == []


async def test_messages_are_read_only_of_sessions_that_moved(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    fakes = sessions(upstream, 16)
    ids = [fake.session_id for fake in fakes]
    async with connect(manual_clock=manual_clock) as client, waiting_for(client, manual_clock, ids):
        assert len(upstream.sent("list_messages")) == 16
        await next_round(manual_clock, 7, 17)  # nothing is known to be at rest before this round
        read = len(upstream.sent("list_messages"))
        await next_round(manual_clock, 10, 17)
        assert len(upstream.sent("list_messages")) == read
        fakes[3].devin_says("I am reading.")
        fakes[8].fields["title"] = "New"
        await next_round(manual_clock, 15, 17)
        paths = [request.path for request in upstream.sent("list_messages")[read:]]
    assert sorted(path.split("/")[-2] for path in paths) == [ids[3], ids[8]]
    assert len(batches(upstream)) == 4


async def test_sessions_that_are_not_due_join_the_round(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    ids = [fake.session_id for fake in sessions(upstream, 16)]
    async with connect(manual_clock=manual_clock) as client, waiting_for(client, manual_clock, ids):
        due = sorted(seconds for seconds in manual_clock.waits if 4 <= seconds <= 6)
        assert len(due) == 16
        await next_round(manual_clock, (due[0] + due[1]) / 2, 17)
        assert [len(batch) for batch in batches(upstream)] == [16, 16]


async def test_request_names_at_most_16_sessions(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    ids = [fake.session_id for fake in sessions(upstream, 32)]
    async with connect(manual_clock=manual_clock) as client:
        waits = asyncio.gather(
            *(
                client.ok("wait_for_sessions", session_ids=part, max_wait_s=12)
                for part in (ids[:16], ids[16:])
            )
        )
        results = await advance_during(manual_clock, waits, 7, 7, until_asleep=34)
    assert all(result["timed_out"] for result in results)
    assert max(len(batch) for batch in batches(upstream)) == 16
    assert len(batches(upstream)) <= 2 * 3, "two requests a round, and what came between"


def takes_only(*, prefixed: bool, otherwise: Fault) -> Fault:
    """A list that takes ids in one form, and answers `otherwise` to the other."""

    async def fault(exchange: Exchange) -> None:
        names = parse_qs(exchange.request.query)["session_ids"]
        if any(name.startswith("devin-") is not prefixed for name in names):
            await otherwise(exchange)
            return
        response = await exchange.forward(exchange.request)
        await answer(response.status_code, response.json())(exchange)

    return fault


@pytest.mark.parametrize("otherwise", [REFUSAL, IGNORED], ids=["refused", "ignored"])
@pytest.mark.parametrize(("prefixed", "extra"), [(False, 0), (True, 1)])
async def test_form_of_the_ids_is_found_out_once(
    connect: Connect,
    upstream: Upstream,
    manual_clock: ManualClock,
    otherwise: Fault,
    extra: int,
    *,
    prefixed: bool,
) -> None:
    upstream.fail("GET", V3_LIST, *[takes_only(prefixed=prefixed, otherwise=otherwise)] * 99)
    async with connect(manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:forever") for _ in range(3)]
        async with waiting_for(client, manual_clock, ids):
            assert len(batches(upstream)) == 1 + extra
            await next_round(manual_clock, 7, 4)
            assert len(batches(upstream)) == 2 + extra
        last = batches(upstream)[-1]
        assert {name.startswith("devin-") for name in last} == {prefixed}
        again = await wait(client, manual_clock, 8, session_ids=ids, max_wait_s=1)
    assert [row["phase"] for row in again["sessions"]] == ["working"] * 3
    assert upstream.sent("get_session") == []


def without(session_id: str) -> Fault:
    """A list that does not show one of the sessions."""

    async def fault(exchange: Exchange) -> None:
        response = await exchange.forward(exchange.request)
        body = response.json()
        body["items"] = [row for row in body["items"] if row["session_id"] not in session_id]
        await answer(200, body)(exchange)

    return fault


async def test_session_missing_from_the_list_is_read_by_itself(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        hidden = await client.create_session("sandbox:quick")
        listed = await client.create_session("sandbox:forever")
        upstream.fail("GET", V3_LIST, *[without(hidden)] * 99)
        result = await wait(client, manual_clock, 8, 8, session_ids=[listed, hidden])
    assert [row["phase"] for row in result["sessions"]] == ["working", "waiting"]
    assert devin_messages_of(result, 1)[0].startswith("Done")
    paths = {request.path.rpartition("/")[2] for request in upstream.sent("get_session")}
    assert paths == {hidden}


async def test_unlisted_sessions_are_not_looked_for_in_every_round(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    upstream.fail("GET", V3_LIST, *[IGNORED] * 99)
    async with connect(manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:forever") for _ in range(4)]
        async with waiting_for(client, manual_clock, ids):
            assert len(batches(upstream)) == 2, "both forms of the ids"
            for _ in range(3):
                await next_round(manual_clock, 7, 5)
            assert len(batches(upstream)) == 2
            assert len(upstream.sent("get_session")) >= 8


async def test_unknown_id_is_reported_beside_sessions_of_the_list(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    unknown = "devin-" + "f" * 32
    async with connect(manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:quick") for _ in range(2)]
        result = await wait(client, manual_clock, 8, 8, session_ids=[*ids, unknown], until="all")
    assert [row.get("phase") for row in result["sessions"]] == ["waiting", "waiting", None]
    assert result["sessions"][2]["problem"] == "Devin does not know this id"
    assert len(upstream.sent("get_session")) == 1, "it is not asked for again"


async def test_hanging_session_keeps_no_listed_one_from_its_caller(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()
    async with connect(manual_clock=manual_clock) as client:
        hidden = await client.create_session("sandbox:forever")
        quick = await client.create_session("sandbox:quick")
        upstream.sandbox.clock.advance(5)
        upstream.fail("GET", V3_LIST, *[without(hidden)] * 99)
        upstream.fail_operation("get_session", delay_work(gate))
        result = await wait(client, manual_clock, 2.5, session_ids=[hidden, quick])
        gate.set()
    assert devin_messages_of(result, 1)[0].startswith("Done")
    assert "has not answered" in result["sessions"][0]["problem"]


async def test_failed_messages_are_read_in_the_next_round(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:quick")
        upstream.sandbox.clock.advance(5)
        upstream.fail_operation("list_messages", answer(500))
        result = await wait(client, manual_clock, 13, session_ids=[session_id])
    assert messages_of(result)[-1].startswith("Done")


async def test_archived_session_ends_the_wait(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:forever")
        upstream.organization.sessions[session_id].archive()
        result = await wait(client, manual_clock, session_ids=[session_id])
    assert (result["timed_out"], result["sessions"][0]["phase"]) == (False, "sleeping")
    assert "archived" in result["next"]


async def test_held_session_ends_the_wait_and_says_why(
    connect: Connect, manual_clock: ManualClock
) -> None:
    async with connect(manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:quota-hold")
        result = await wait(client, manual_clock, 8, 8, session_ids=[session_id])
    assert (result["timed_out"], result["sessions"][0]["phase"]) == (False, "held")
    assert result["next"].startswith("Devin is on hold (out_of_quota): a person must act")


async def test_approval_ends_the_wait_and_names_the_link(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession(fields={"status_detail": "waiting_for_approval"}).at(upstream)
    session.devin_says("May I?")
    async with connect(manual_clock=manual_clock) as client:
        result = await wait(client, manual_clock, 8)
    assert "approval at https://sandbox.invalid/sessions/1" in result["next"]
