"""devin_send_message: delivery, and the sessions that take no messages."""

from __future__ import annotations

import asyncio
import re

import pytest

from devin_mcp.keys import DevinApi
from tests.clock import AutoClock, ManualClock, advance_during
from tests.conftest import Connect
from tests.fake_session import MESSAGE, FakeSession
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.usefixtures("api")


async def test_refused_message_keeps_its_reason_when_session_is_unreadable(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", MESSAGE, answer(400, {"detail": "no shouting"}))
    upstream.fail_operation("get_session", answer(500, {}))
    async with connect() as client:
        assert "no shouting" in await client.error(
            "send_message", session_id="devin-1", message="A"
        )


@pytest.mark.one_api("v1", reason="v3 answers with the session, not with a remark.")
async def test_delivered_message_with_long_detail_is_no_error(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", MESSAGE, answer(200, {"detail": "d" * 9000}))
    async with connect(result_limit=2000) as client:
        sent = await client.ok("send_message", session_id="devin-1", message="m")
    assert sent["delivered"] is True


@pytest.mark.one_api("v1", reason="v3 documents no refusal while a session starts.")
async def test_message_to_a_starting_session_is_retried(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        await client.ok("send_message", session_id=session_id, message="one more thing")
    assert len(clock.waits) == 1
    assert upstream.count("POST", MESSAGE) == 2


async def test_session_that_never_starts_is_reported_before_the_deadline(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail(
        "POST", MESSAGE, *[answer(400, {"detail": "Devin session still initializing"})] * 99
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


async def test_message_wakes_a_sleeping_session(
    connect: Connect, clock: AutoClock, api: DevinApi
) -> None:
    async with connect() as client:
        session_id = await client.create_session("sandbox:sleep")
        clock.skip(4)
        session = await client.ok("get_session", session_id=session_id)
        assert session["phase"] == "sleeping"
        sent = await client.ok("send_message", session_id=session_id, message="wake up")
    if api == "v1":
        assert "suspended" in sent["detail"]
    else:
        assert sent["phase"] == "working"


URL = "https://sandbox.invalid/attachments/1a2b/log.txt"
OTHER_SITE = "https://example.com/log.txt"


async def test_attachment_urls_become_a_field_or_lines_of_the_message(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    FakeSession().at(upstream)
    async with connect() as client:
        await client.ok("send_message", session_id="devin-1", message="See", attachment_urls=[URL])
    (request,) = upstream.sent("send_message")
    bodies = {
        "v1": {"message": f'See\n\nATTACHMENT:"{URL}"'},
        "v3": {"message": "See", "attachment_urls": [URL]},
    }
    assert request.json == bodies[api]


async def test_reply_to_a_message_with_attachments_is_found(
    connect: Connect, upstream: Upstream, manual_clock: ManualClock
) -> None:
    session = FakeSession().at(upstream)
    async with connect(manual_clock=manual_clock) as client:
        waiting = asyncio.ensure_future(
            client.ok(
                "send_message",
                session_id="devin-1",
                message="See",
                attachment_urls=[URL],
                max_wait_s=40,
            )
        )
        await manual_clock.wait_for_sleepers(2)
        session.devin_says("I see it.")
        session.status_enum = "blocked"
        result = await advance_during(manual_clock, waiting, 7, 7, until_asleep=2)
    assert [message["message"] for message in result["messages"]] == ["I see it."]


@pytest.mark.one_api("v1", reason="v3 does not document the form of an attachment's URL.")
async def test_message_with_the_url_of_another_site_is_not_sent(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        text = await client.error(
            "send_message", session_id="devin-1", message="m", attachment_urls=[OTHER_SITE]
        )
    assert "attachment_urls[0] is no attachment's" in text
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("attachment_urls", "says"),
    [
        ([URL, "log.txt"], r"attachment_urls\[1\] is no (attachment's|web address)"),
        ([URL] * 21, "attachment_urls has more than 20 items"),
    ],
)
async def test_message_with_a_bad_attachment_is_not_sent(
    connect: Connect, upstream: Upstream, attachment_urls: list[str], says: str
) -> None:
    async with connect() as client:
        text = await client.error(
            "send_message", session_id="devin-1", message="See", attachment_urls=attachment_urls
        )
    assert re.search(says, text)
    assert upstream.requests == []


@pytest.mark.one_api("v1", reason="v3 takes attachments apart from the text.")
async def test_message_too_long_with_its_attachments_is_not_sent(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        text = await client.error(
            "send_message", session_id="devin-1", message="x" * 29_990, attachment_urls=[URL]
        )
    assert "with its attachments counted" in text
    assert upstream.requests == []
