"""Conversations on the board: the newest message, no gaps, and what a person is typing."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.apps.host_page import HostPage, board, open_app
from tests.clock import AutoClock
from tests.fake_session import FakeSession
from tests.http_client import connect_over_http
from tests.upstream import Upstream

PULL_REQUEST = {"pull_request": {"url": "https://github.com/acme/shop/pull/214"}}
ASK_FOR_SOMETHING = ["Shall I merge it?**", "合并吗\uff1f", "Merge it? 🙂", "(merge?)"]

pytestmark = pytest.mark.usefixtures("node")


def working(upstream: Upstream, steps: int, size: int = 1) -> FakeSession:
    session = FakeSession("devin-1", "working", fields={"title": "Long"})
    for number in range(steps):
        session.devin_says(f"Step {number} " + "word " * size)
    return session.at(upstream)


def asking(upstream: Upstream) -> FakeSession:
    session = FakeSession("devin-1", "blocked")
    session.devin_says("Strict or lenient?")
    return session.at(upstream)


async def steps_of(host: HostPage) -> list[int]:
    """The numbers of the steps in the conversation, in the order in which they are there."""
    texts = await host.app.locator("li .words").all_inner_texts()
    return [int(text.split()[1]) for text in texts]


async def test_newest_message_is_the_question_however_long_the_conversation_is(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    session = working(upstream, 60, size=10)
    async with board(browser, upstream, clock, result_limit=3000) as url:
        host = await open_app(browser, url)
        await expect(host.group("At work")).to_have_count(1)
        session.devin_says("Shall I drop the table?")
        session.status_enum = "blocked"
        for _ in range(5):
            await host.skip(10)
        await expect(host.group("Needs you")).to_contain_text("Shall I drop the table?")


@pytest.mark.parametrize("more", [3, 60])
async def test_conversation_has_no_gap_and_can_be_read_from_its_beginning(
    browser: Browser, upstream: Upstream, clock: AutoClock, more: int
) -> None:
    session = working(upstream, 10)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url, "devin_get_session", session_id="devin-1", messages=5)
        await expect(host.app.get_by_role("listitem").last).to_contain_text("Step 9")
        for number in range(10, 10 + more):
            session.devin_says(f"Step {number}")
        session.status_enum = "blocked"
        for _ in range(4):
            await host.skip(10)
        await expect(host.app.get_by_role("listitem").last).to_contain_text(f"Step {9 + more}")
        if await host.button("Show earlier messages").is_visible():
            await host.button("Show earlier messages").click()
            await expect(host.button("Show earlier messages")).to_be_hidden()
        steps = await steps_of(host)
    assert steps == list(range(10 + more))


async def test_words_stay_where_they_are_typed_when_devin_goes_on(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    session = asking(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url)
        text = host.app.locator("textarea")
        await text.press_sequentially("I think ")
        session.status_enum = "working"
        await host.button("Refresh").click()
        await expect(host.group("At work")).to_have_count(1)
        await text.focus()
        await host.page.keyboard.type("strict")
        await expect(text).to_be_visible()
        await expect(text).to_have_value("I think strict")


async def test_session_that_is_held_after_an_answer_needs_somebody(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    session = asking(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url)
        await host.app.get_by_label("Your answer").fill("Strict")
        await host.button("Send to Devin").click()
        await expect(host.group("At work")).to_contain_text("reads your answer")
        session.fields = {"status": "suspended", "status_detail": "out_of_credits"}
        for _ in range(3):
            await host.skip(30)
        await expect(host.group("Needs you")).to_contain_text("out of credits")


async def test_session_that_was_taken_back_elsewhere_is_not_archived(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    async with board(browser, upstream, clock) as url:
        async with connect_over_http(url) as client:
            session_id = await client.create_session("sandbox:quick Bump the library")
        clock.skip(10)
        host = await open_app(browser, url)
        await host.button("Archive").click()
        await expect(host.group("Earlier")).to_contain_text("archived")
        upstream.organization.sessions[session_id].is_archived = False
        await host.button("Refresh").click()
        await expect(host.group("Delivered")).to_have_count(1)


async def test_every_question_mark_asks(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    for number, text in enumerate(ASK_FOR_SOMETHING):
        session = FakeSession(f"devin-{number}", "blocked", fields=dict(PULL_REQUEST))
        session.devin_says(text)
        session.at(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url)
        await expect(host.group("Needs you")).to_have_count(len(ASK_FOR_SOMETHING))


async def test_refresh_shows_no_page_twice(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    async with board(browser, upstream, clock) as url:
        async with connect_over_http(url) as client:
            for number in range(3):
                await client.create_session("sandbox:expire", title=f"Session {number}")
        clock.skip(10)
        host = await open_app(browser, url, limit=2)
        await host.button("Show more sessions").click()
        await expect(host.group("Earlier")).to_have_count(3)
        await host.button("Refresh").click()
        await expect(host.button("Show more sessions")).to_be_hidden()
        await expect(host.group("Earlier")).to_have_count(3)
