"""devin_send_message: delivery, and the sessions that take no messages."""

from __future__ import annotations

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import Upstream, answer


async def test_refused_message_keeps_its_reason_when_session_is_unreadable(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", ".*/message", answer(400, {"detail": "no shouting"}))
    upstream.fail("GET", "/v1/sessions/.*", answer(500, {}))
    async with connect() as client:
        assert "no shouting" in await client.error(
            "send_message", session_id="devin-1", message="A"
        )


async def test_delivered_message_with_long_detail_is_no_error(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", ".*/message", answer(200, {"detail": "d" * 9000}))
    async with connect(result_limit=2000) as client:
        sent = await client.ok("send_message", session_id="devin-1", message="m")
    assert sent["delivered"] is True


async def test_message_to_a_starting_session_is_retried(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        await client.ok("send_message", session_id=session_id, message="one more thing")
    assert len(clock.waits) == 1
    assert upstream.count("POST", ".*/message") == 2


async def test_session_that_never_starts_is_reported_before_the_deadline(
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
async def test_ended_session_takes_no_messages(
    connect: Connect, clock: AutoClock, script: str
) -> None:
    async with connect() as client:
        session_id = await client.create_session(f"sandbox:{script}")
        clock.skip(4)
        if script == "quick":
            await client.ok("terminate_session", session_id=session_id)
        text = await client.error("send_message", session_id=session_id, message="hello?")
        session = await client.ok("get_session", session_id=session_id)
    assert session["phase"] == "ended"
    assert "takes no messages" in text
    assert "devin_delegate_task" in text


async def test_message_wakes_a_sleeping_session(connect: Connect, clock: AutoClock) -> None:
    async with connect() as client:
        session_id = await client.create_session("sandbox:sleep")
        clock.skip(4)
        session = await client.ok("get_session", session_id=session_id)
        assert session["phase"] == "sleeping"
        sent = await client.ok("send_message", session_id=session_id, message="wake up")
    assert "suspended" in sent["detail"]
