"""Which requests are sent again, and which never. Every fault happens on a real socket."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect, Era
from tests.upstream import (
    Fault,
    Upstream,
    answer,
    cut_reply,
    drop_connection,
    lose_reply,
    never_answer,
    page,
)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_read_is_retried_until_it_succeeds(
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


@pytest.mark.parametrize("fault", [drop_connection, lose_reply, cut_reply])
async def test_read_with_broken_reply_is_retried(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    upstream.fail("GET", "/v1/sessions", fault)
    async with connect() as client:
        await client.ok("list_sessions")
    assert upstream.count("GET") == 2


async def test_read_fails_after_four_attempts(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions", *[answer(503)] * 9)
    async with connect() as client:
        text = await client.error("list_sessions")
    assert upstream.count("GET") == 4
    assert "server error (503)" in text
    assert "Nothing was changed" in text


async def test_status_500_is_not_retried(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions", answer(500, {"detail": "secret stack"}))
    async with connect() as client:
        text = await client.error("list_sessions")
    assert upstream.count("GET") == 1
    assert "stack" not in text


@pytest.mark.parametrize("fault", [answer(503), drop_connection, lose_reply, cut_reply])
async def test_put_is_retried(connect: Connect, upstream: Upstream, fault: Fault) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        upstream.fail("PUT", ".*", fault)
        await client.ok("update_session_tags", session_id=session_id, tags=["x"])
    assert upstream.count("PUT") == 2


@pytest.mark.parametrize("fault", [answer(502), lose_reply])
async def test_404_on_a_retried_delete_counts_as_deleted(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    async with connect() as client:
        note = await client.ok("create_knowledge", name="n", body="b", trigger="t")
        upstream.fail("DELETE", ".*", lose_reply, fault)
        assert (await client.ok("delete_knowledge", note_id=note["note_id"]))["deleted"] is True
    assert upstream.count("DELETE") == 3


async def test_404_after_429_is_still_not_found(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("DELETE", ".*", answer(429, {"detail": "slow down"}))
    async with connect() as client:
        assert "404" in await client.error("delete_secret", secret_id="secret-none")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lose_reply, "broke the connection off"),
        (drop_connection, "broke the connection off"),
        (cut_reply, "broke the connection off"),
        (answer(502), "502"),
        (answer(503), "503"),
        (answer(500), "500"),
        (page(), "web page"),
        (answer(200, b"{oops"), "could not be read"),
        (answer(200, {"unexpected": 1}), "could not be read"),
        (answer(200, b""), "could not be read"),
    ],
)
async def test_create_with_lost_reply_is_not_sent_again(
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


async def test_message_with_lost_reply_is_not_sent_again(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        clock.skip(2)
        upstream.fail("POST", ".*/message", lose_reply)
        text = await client.error("send_message", session_id=session_id, message="hi")
    assert upstream.count("POST", ".*/message") == 1
    assert "devin_get_session whether the message arrived" in text


async def test_lost_reply_error_names_no_hidden_tool(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("POST", "/v1/sessions", lose_reply)
    async with connect(exclude_tools="devin_list_sessions") as client:
        text = await client.error("create_session", prompt="p")
    assert "A session may exist" in text
    assert "devin_list_sessions" not in text


async def test_create_that_was_not_sent_is_retried(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    await upstream.stop()
    clock.then = upstream.start
    async with connect() as client:
        await client.ok("create_session", prompt="p")
    assert len(upstream.organization.sessions) == 1


async def test_unreachable_server_is_reported_as_not_sent(
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


async def test_create_waits_for_retry_after(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail(
        "POST", "/v1/sessions", answer(429, {"detail": "Rate limit exceeded"}, retry_after="7")
    )
    async with connect() as client:
        await client.ok("create_session", prompt="p")
    assert clock.waits == [7.0]
    assert len(upstream.organization.sessions) == 1


async def test_session_limit_is_not_retried(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        text = await client.error("create_session", prompt="sandbox:session-limit")
    assert clock.waits == []
    assert "devin_terminate_session" in text


async def test_retry_after_may_be_a_date(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    upstream.fail("GET", "/v1/sessions", answer(503, None, retry_after=date))
    async with connect() as client:
        await client.ok("list_sessions")
    assert 5 < clock.waits[0] <= 10


@pytest.mark.parametrize(
    "retry_after",
    [
        "soon",
        "Mon, 20 Nov 99999999999999999999 19:12:08 GMT",
        "Mon, 20 Nov 2026 19:12:08 +9999999999",
    ],
)
async def test_invalid_retry_after_is_ignored(
    connect: Connect, upstream: Upstream, clock: AutoClock, retry_after: str
) -> None:
    fault = answer(429, {"detail": "slow"}, retry_after=retry_after)
    upstream.fail("GET", "/v1/sessions", fault)
    async with connect() as client:
        await client.ok("list_sessions")
    assert clock.waits[0] <= 0.5


async def test_long_retry_after_is_reported_instead_of_waited_for(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail("GET", "/v1/sessions", answer(429, {"detail": "no"}, retry_after="90"))
    async with connect() as client:
        text = await client.error("list_sessions")
    assert clock.waits == []
    assert "Try again in 90 seconds" in text


async def test_back_off_does_not_exceed_the_deadline(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail("GET", "/v1/sessions", *[answer(503, None, retry_after="15")] * 9)
    async with connect(deadline=40) as client:
        await client.error("list_sessions")
    assert clock.waits == [15.0, 15.0]


async def test_read_is_retried_after_a_timeout(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions", *[never_answer] * 9)
    async with connect(timeout=0.1) as client:
        assert "did not answer in time" in await client.error("list_sessions")
    assert upstream.count("GET") == 4


async def test_create_is_not_sent_again_after_a_timeout(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", "/v1/sessions", never_answer)
    async with connect(timeout=0.1) as client:
        assert "A session may exist" in await client.error("create_session", prompt="p")
    assert upstream.count("POST") == 1


async def test_progress_states_why_a_request_is_retried(
    connect: Connect, upstream: Upstream, clock: AutoClock, era: Era
) -> None:
    notifications: list[tuple[float, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        notifications.append((progress, message))

    upstream.fail(
        "GET", "/v1/sessions", answer(503), answer(429, None, retry_after="9"), drop_connection
    )
    async with connect(era=era) as client:
        await client.sdk.call_tool("devin_list_sessions", {}, progress_callback=on_progress)
        await client.ok("list_sessions")  # without a callback there is no progress
    assert [number for number, _ in notifications] == [1, 2, 3]
    assert [str(text).split(";")[0] for _, text in notifications] == [
        "Devin cannot be reached right now",
        "Devin asks to slow down",
        "Devin cannot be reached right now",
    ]
    assert notifications[1][1] == "Devin asks to slow down; trying again in 9 s"


async def test_every_attempt_is_logged_with_the_id_of_its_call(
    connect: Connect, upstream: Upstream, logs: Callable[[], list[dict[str, Any]]]
) -> None:
    upstream.fail("GET", "/v1/sessions", answer(503), drop_connection)
    async with connect() as client:
        await client.ok("list_sessions")
    attempts = [line for line in logs() if line["event"] == "api_request"]
    (call,) = [line for line in logs() if line["event"] == "mcp_call"]
    assert [line["attempt"] for line in attempts] == [1, 2, 3]
    assert [line.get("status") for line in attempts] == [503, None, 200]
    assert re.fullmatch(r"Remote\w+|Read\w+", attempts[1]["error"])
    assert {line["call_id"] for line in attempts} == {call["call_id"]}
    assert (call["attempts"], call["status"], call["outcome"]) == (3, 200, "ok")
