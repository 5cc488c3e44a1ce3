"""When a request is sent again, and when never. Every fault happens on a real socket."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect, Era
from tests.upstream import Fault, Upstream, answer, dropped, halved, lost, page, silent


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_read_is_repeated_until_it_works(
    connect: Connect, upstream: Upstream, clock: AutoClock, status: int
) -> None:
    upstream.fail(
        "GET",
        "/v1/sessions",
        answer(status, {"detail": "later"}),
        answer(status, {"detail": "later"}),
    )
    async with connect() as client:
        await client.ok("list_sessions")
    assert upstream.count("GET") == 3
    assert len(clock.waits) == 2
    assert 0.25 <= clock.waits[0] <= 0.5
    assert 0.5 <= clock.waits[1] <= 1.0


@pytest.mark.parametrize("fault", [dropped, lost, halved])
async def test_a_read_whose_reply_broke_is_repeated(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    upstream.fail("GET", "/v1/sessions", fault)
    async with connect() as client:
        await client.ok("list_sessions")
    assert upstream.count("GET") == 2


async def test_a_read_is_given_up_after_four_attempts(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions", *[answer(503)] * 9)
    async with connect() as client:
        text = await client.error("list_sessions")
    assert upstream.count("GET") == 4
    assert "server error (503)" in text
    assert "Nothing was changed" in text


async def test_other_server_errors_are_not_repeated(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions", answer(500, {"detail": "secret stack"}))
    async with connect() as client:
        text = await client.error("list_sessions")
    assert upstream.count("GET") == 1
    assert "stack" not in text


@pytest.mark.parametrize("fault", [answer(503), dropped, lost, halved])
async def test_a_put_is_repeated(connect: Connect, upstream: Upstream, fault: Fault) -> None:
    async with connect() as client:
        made = await client.ok("create_session", prompt="p")
        upstream.fail("PUT", ".*", fault)
        await client.ok("update_session_tags", session_id=made["session_id"], tags=["x"])
    assert upstream.count("PUT") == 2


@pytest.mark.parametrize("fault", [answer(502), lost])
async def test_a_404_on_a_repeated_delete_counts_as_done(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    async with connect() as client:
        made = await client.ok("create_knowledge", name="n", body="b", trigger_description="t")
        upstream.fail("DELETE", ".*", lost, fault)
        assert (await client.ok("delete_knowledge", note_id=made["id"]))["deleted"] is True
    assert upstream.count("DELETE") == 3


async def test_a_404_after_a_slow_down_is_still_a_404(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("DELETE", ".*", answer(429, {"detail": "slow down"}))
    async with connect() as client:
        assert "404" in await client.error("delete_secret", secret_id="secret-none")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lost, "broke the connection off"),
        (dropped, "broke the connection off"),
        (halved, "broke the connection off"),
        (answer(502), "502"),
        (answer(503), "503"),
        (answer(500), "500"),
        (page(), "web page"),
        (answer(200, b"{oops"), "could not be read"),
        (answer(200, {"unexpected": 1}), "could not be read"),
        (answer(200, b""), "could not be read"),
    ],
)
async def test_a_create_is_never_sent_twice_and_the_doubt_is_reported(
    connect: Connect, upstream: Upstream, fault: Fault, says: str
) -> None:
    upstream.fail("POST", "/v1/sessions", fault)
    async with connect() as client:
        text = await client.error("create_session", prompt="p")
    assert upstream.count("POST") == 1
    assert says in text
    assert "may have been carried out" in text
    assert "A session may exist" in text
    assert "devin_list_sessions" in text


async def test_a_lost_message_is_reported_too(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        made = await client.ok("create_session", prompt="p")
        clock.skip(2)
        upstream.fail("POST", ".*/message", lost)
        text = await client.error("send_message", session_id=made["session_id"], message="hi")
    assert upstream.count("POST", ".*/message") == 1
    assert "devin_get_session whether the message arrived" in text


async def test_a_lost_reply_does_not_suggest_a_hidden_tool(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", "/v1/sessions", lost)
    async with connect(exclude_tools="devin_list_sessions") as client:
        text = await client.error("create_session", prompt="p")
    assert "A session may exist" in text
    assert "devin_list_sessions" not in text


async def test_a_create_that_never_left_is_sent_again(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    await upstream.stop()
    clock.then = upstream.start
    async with connect() as client:
        await client.ok("create_session", prompt="p")
    assert len(upstream.organization.sessions) == 1


async def test_a_devin_that_cannot_be_reached_is_not_sent(
    connect: Connect, upstream: Upstream
) -> None:
    await upstream.stop()
    async with connect() as client:
        for tool, arguments in [
            ("create_session", {"prompt": "p"}),
            ("list_sessions", {}),
            ("delete_secret", {"secret_id": "s"}),
        ]:
            text = await client.error(tool, **arguments)
            assert "could not be reached" in text
            assert "Nothing was changed" in text


async def test_a_slow_down_is_waited_for_even_on_a_create(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail(
        "POST", "/v1/sessions", answer(429, {"detail": "Rate limit exceeded"}, retry_after="7")
    )
    async with connect() as client:
        await client.ok("create_session", prompt="p")
    assert clock.waits == [7.0]
    assert len(upstream.organization.sessions) == 1


async def test_the_session_cap_is_not_waited_for(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        text = await client.error("create_session", prompt="sandbox:session-limit")
    assert clock.waits == []
    assert "devin_terminate_session" in text


async def test_retry_after_may_be_a_date(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    upstream.fail(
        "GET",
        "/v1/sessions",
        answer(503, None, retry_after=moment),
        answer(429, None, retry_after="soon"),
    )
    async with connect() as client:
        await client.ok("list_sessions")
    assert 5 < clock.waits[0] <= 10
    assert clock.waits[1] <= 1


async def test_a_long_retry_after_is_told_instead_of_waited_for(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail("GET", "/v1/sessions", answer(429, {"detail": "no"}, retry_after="90"))
    async with connect() as client:
        text = await client.error("list_sessions")
    assert clock.waits == []
    assert "Try again in 90 seconds" in text


async def test_nothing_waits_longer_than_the_call_has_left(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail("GET", "/v1/sessions", *[answer(503, None, retry_after="15")] * 9)
    async with connect(deadline=40) as client:
        await client.error("list_sessions")
    assert clock.waits == [15.0, 15.0]


async def test_silence_ends_with_the_timeout(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions", *[silent] * 9)
    upstream.fail("POST", "/v1/sessions", silent)
    async with connect(timeout=0.1) as client:
        assert "did not answer in time" in await client.error("list_sessions")
        text = await client.error("create_session", prompt="p")
    assert upstream.count("GET") == 4
    assert upstream.count("POST") == 1
    assert "A session may exist" in text


async def test_one_deadline_holds_for_everything(connect: Connect, upstream: Upstream) -> None:
    async def drip(exchange: object) -> None:
        import asyncio

        from tests.upstream import Exchange, head

        assert isinstance(exchange, Exchange)
        exchange.writer.write(
            head(200, {"content-length": "9999", "content-type": "application/json"})
        )
        for _ in range(100):
            exchange.writer.write(b" ")
            await asyncio.sleep(0.02)

    upstream.fail("GET", "/v1/sessions", drip)
    async with connect(deadline=0.3) as client:
        assert "within 0.3 seconds" in await client.error("list_sessions")


async def test_who_waits_is_told_why(
    connect: Connect, upstream: Upstream, clock: AutoClock, era: Era
) -> None:
    told: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    upstream.fail("GET", "/v1/sessions", answer(503), answer(429, None, retry_after="9"), dropped)
    async with connect(era=era) as client:
        await client.sdk.call_tool("devin_list_sessions", {}, progress_callback=hear)
        await client.ok("list_sessions")  # who does not listen is not bothered
    assert [number for number, _ in told] == [1, 2, 3]
    assert [str(text).split(";")[0] for _, text in told] == [
        "Devin cannot be reached right now",
        "Devin asks to slow down",
        "Devin cannot be reached right now",
    ]
    assert told[1][1] == "Devin asks to slow down; trying again in 9 s"


async def test_every_attempt_is_logged_and_joined_by_the_call(
    connect: Connect, upstream: Upstream, logs: object
) -> None:
    upstream.fail("GET", "/v1/sessions", answer(503), dropped)
    async with connect() as client:
        await client.ok("list_sessions")
    lines = logs()  # type: ignore[operator]
    attempts = [line for line in lines if line["event"] == "api_request"]
    (done,) = [line for line in lines if line["event"] == "mcp_call"]
    assert [line["attempt"] for line in attempts] == [1, 2, 3]
    assert [line.get("status") for line in attempts] == [503, None, 200]
    assert re.fullmatch(r"Remote\w+|Read\w+", attempts[1]["error"])
    assert {line["call_id"] for line in attempts} == {done["call_id"]}
    assert (done["attempts"], done["status"], done["outcome"]) == (3, 200, "ok")
