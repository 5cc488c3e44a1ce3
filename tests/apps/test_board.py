"""The session board in a real browser, from the question to the pull request."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from devin_mcp.keys import DevinApi
from tests.apps.host_page import ABILITIES, board, open_app
from tests.clock import AutoClock
from tests.conftest import Era
from tests.fake_session import FakeSession
from tests.http_client import connect_over_http
from tests.upstream import KEYS, Upstream, answer

QUESTION = "Should the new check be strict (an error) or lenient (a warning)?"
ANSWER = "Strict: refuse it with a 422."
PULL_REQUEST = {"url": "https://github.com/acme/shop/pull/214"}

pytestmark = pytest.mark.usefixtures("node")


@pytest.mark.parametrize(("era", "api"), [("auto", "v3"), ("legacy", "v1")])
async def test_question_is_answered_and_the_pull_request_comes_by_itself(
    browser: Browser, upstream: Upstream, clock: AutoClock, era: Era, api: DevinApi
) -> None:
    async with board(browser, upstream, clock, DEVIN_API_KEY=KEYS[api]) as url:
        async with connect_over_http(url) as client:
            session_id = await client.create_session("Refuse negative prices", title="Prices")
        clock.skip(10)
        host = await open_app(browser, url, era=era)
        card = host.group("Needs you")
        await expect(card).to_contain_text("Prices")
        await expect(card).to_contain_text(QUESTION)
        await card.get_by_label("Your answer").fill(ANSWER)
        await host.button("Send to Devin").click()
        await expect(host.group("Delivered")).to_contain_text("Prices", timeout=15_000)
        await expect(host.group("Needs you")).to_have_count(0)
        await host.link("Pull request").click()
        link = await host.record("link")
        context = await host.record("context")
        page = await host.record("page")
    assert "/pull/" in link["url"]
    assert session_id in context["text"]
    assert ANSWER in context["text"]
    (message,) = upstream.sent("send_message")
    assert message.json["message"] == ANSWER
    assert page["uri"] == page["flat"] == "ui://devin/sessions"
    assert page["mimeType"] == "text/html;profile=mcp-app"
    assert host.problems == []


async def test_one_session_opens_its_conversation_and_takes_a_message(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    session = FakeSession(status_enum="finished", fields={"pull_request": PULL_REQUEST})
    session.user_says("Refuse negative prices")
    for number in range(30):
        session.devin_says(f"Step {number}")
    long_text = "\N{WAVING HAND SIGN}word " * 1000
    session.devin_says(long_text)
    session.at(upstream)
    async with board(browser, upstream, clock, result_limit=3000) as url:
        host = await open_app(browser, url, "devin_get_session", session_id="devin-1", messages=5)
        messages = host.app.get_by_role("listitem")
        await expect(messages).not_to_have_count(0)
        await host.button("Show the whole message").click()
        await expect(messages.last).to_contain_text(long_text.strip())
        await expect(host.button("Show the whole message")).to_be_hidden()
        await host.button("Show earlier messages").click()
        await expect(messages).to_have_count(32)
        assert (await messages.all_inner_texts())[1].endswith("Step 0")
        await host.app.get_by_label("Message to Devin").fill("Add a test, too")
        await host.page.keyboard.press("Control+Enter")
        for _ in range(3):  # what a wait returns is bounded
            await host.skip(5)
        await expect(messages.last).to_contain_text("Add a test, too")
    assert [request.json["message"] for request in upstream.sent("send_message")] == [
        "Add a test, too"
    ]
    assert host.problems == []


async def test_typing_and_focus_survive_that_the_board_changes(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    asking = FakeSession("devin-1", "blocked", fields={"title": "Asks"})
    asking.devin_says(QUESTION)
    working = FakeSession("devin-2", "working", fields={"title": "Works"})
    for session in (asking, working):
        session.at(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url)
        text = host.app.get_by_label("Your answer")
        await text.press_sequentially("Strict, I ")
        working.devin_says("Which of the two?")
        working.status_enum = "blocked"
        await host.skip(5)
        await expect(host.group("Needs you")).to_have_count(2)
        await host.page.keyboard.type("think")
        await expect(text.first).to_be_focused()
        assert await host.app.locator("textarea:focus").input_value() == "Strict, I think"
        announced = host.app.locator("#announcement")
        await expect(announced).to_have_text("Works: waits for you")


async def test_failed_message_stays_in_the_box_with_the_reason(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    session = FakeSession(status_enum="blocked")
    session.devin_says(QUESTION)
    upstream.fail_operation("send_message", answer(403, {"detail": "Not for this key"}))
    session.at(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url)
        await host.app.get_by_label("Your answer").fill(ANSWER)
        await host.button("Send to Devin").click()
        await expect(host.app.get_by_role("alert")).to_contain_text("Not for this key")
        await expect(host.app.get_by_label("Your answer")).to_have_value(ANSWER)
        await host.button("Send to Devin").click()
        await expect(host.app.get_by_text(f"You: “{ANSWER}”")).to_be_visible()
    assert len(upstream.sent("send_message")) == 2


async def test_held_and_failed_sessions_say_why(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    held = {"status": "suspended", "status_detail": "out_of_credits", "title": "Held"}
    failed = {"status": "error", "status_detail": "machine_lost", "title": "Failed"}
    FakeSession("devin-1", fields=held).at(upstream)
    FakeSession("devin-2", fields=failed).at(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url)
        cards = host.group("Needs you")
        await expect(cards.filter(has_text="Held")).to_contain_text("out of credits")
        await expect(cards.filter(has_text="Held")).to_contain_text("on hold")
        await expect(cards.filter(has_text="Failed")).to_contain_text("machine lost")


async def test_session_is_archived_and_taken_back(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    async with board(browser, upstream, clock) as url:
        async with connect_over_http(url) as client:
            session_id = await client.create_session("sandbox:quick Bump the library")
        clock.skip(10)
        host = await open_app(browser, url)
        await host.button("Archive").click()
        await expect(host.group("Earlier")).to_contain_text("archived")
        assert upstream.organization.sessions[session_id].is_archived
        await host.button("Take back").click()
        await expect(host.group("Delivered")).to_have_count(1)
        assert not upstream.organization.sessions[session_id].is_archived


async def test_more_sessions_are_shown_page_by_page(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    async with board(browser, upstream, clock) as url:
        async with connect_over_http(url) as client:
            for number in range(5):
                await client.create_session("sandbox:expire", title=f"Session {number}")
        clock.skip(10)
        host = await open_app(browser, url, limit=2)
        await expect(host.group("Earlier")).to_have_count(2)
        await host.button("Show more sessions").click()
        await expect(host.group("Earlier")).to_have_count(4)
        await host.button("Show more sessions").click()
        await expect(host.group("Earlier")).to_have_count(5)
        await expect(host.button("Show more sessions")).to_be_hidden()


async def test_nothing_is_offered_that_cannot_be_done(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    """A host without tool calls, and a server that only reads."""
    session = FakeSession(status_enum="blocked")
    session.devin_says(QUESTION)
    session.at(upstream)
    abilities = {name: value for name, value in ABILITIES.items() if name != "serverTools"}
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url, abilities=abilities)
        await expect(host.group("Needs you")).to_have_count(1)
        assert await host.buttons() == []
    async with board(browser, upstream, clock, read_only="true") as url:
        host = await open_app(browser, url)
        await expect(host.group("Needs you")).to_contain_text(QUESTION)
        assert await host.buttons() == ["Refresh"]


async def test_error_of_the_first_call_is_shown(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url, "devin_get_session", session_id="devin-unknown")
        await expect(host.app.locator("#notice")).to_contain_text(
            "Take the id from one of the list tools"
        )


async def test_closed_page_asks_no_more(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    FakeSession(fields={"title": "Works"}).at(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url)
        await expect(host.app.locator("#state")).to_have_text("Following 1")
        await host.page.evaluate("window.tearDown()")
        await host.skip(10)
        count = len(upstream.requests)
        await host.skip(120)
    assert len(upstream.requests) == count
