"""What the board looks like: accessible at every width, and hostile texts stay texts."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.apps.host_page import Motion, Theme, board, open_app
from tests.clock import AutoClock
from tests.fake_session import FakeSession
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("node")

TAG_NAMES = "[...document.querySelectorAll('*')].map((element) => element.tagName)"
HOSTILE = [
    "<img src=x onerror=\"document.title='pwned'\">",
    "<script>document.title='pwned'</script>",
    "</textarea></p><iframe src=https://evil.invalid>",
    "\u202ereversed\u202c \u2066isolated\u2069 \u200b\x07",
    "{{constructor.constructor('return 1')()}} ${1+1}",
    "W" * 30_000,
    "javascript:alert(1)",
]
LINKS = [
    "javascript:alert(1)",
    "http://plain.invalid/pull/1",
    "data:text/html,x",
    " https://x.invalid",
]


WIDTHS = (320, 820, 1200)


def sample(upstream: Upstream) -> None:
    """A session in each group."""
    pull = {"pull_request": {"url": "https://github.com/acme/shop/pull/214"}}
    sessions = [
        FakeSession("devin-1", "blocked", fields={"title": "Refuse negative prices"}),
        FakeSession("devin-2", "working", fields={"title": "Migrate the job", "tags": ["jobs"]}),
        FakeSession("devin-3", "finished", fields={"title": "Bump the library"} | pull),
        FakeSession("devin-4", "expired", fields={"title": "Look into the flaky login test"}),
    ]
    sessions[0].devin_says("Should it be an error or a warning?")
    for session in sessions:
        session.at(upstream)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_and_nothing_is_cut_off(
    browser: Browser, upstream: Upstream, clock: AutoClock, theme: Theme
) -> None:
    sample(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url, theme=theme)
        await expect(host.group("Needs you")).to_contain_text("error or a warning")
        await host.app.locator("summary").first.click()
        await expect(host.app.get_by_role("listitem")).to_have_count(1)
        for width in WIDTHS:
            await host.page.set_viewport_size({"width": width, "height": 900})
            assert await host.axe() == []
            assert await host.app.evaluate("document.body.scrollWidth <= window.innerWidth")
        sizes = await host.records("size")
        dark = await host.app.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sizes
    assert all(size["width"] is None for size in sizes), "the host decides about the width"
    assert (dark == "rgb(27, 27, 29)") == (theme == "dark")
    assert host.problems == []


async def test_host_decides_about_colours_and_theme(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    sample(upstream)
    variables = {"--color-background-primary": "rgb(1, 2, 3)", "--color-text-primary": "white"}
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url, variables=variables)
        style = "getComputedStyle(document.body).backgroundColor"
        assert await host.app.evaluate(style) == "rgb(1, 2, 3)"
        await host.page.evaluate("window.setTheme('dark')")
        await host.app.wait_for_function("document.documentElement.style.colorScheme === 'dark'")


async def test_hostile_text_stays_text(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    """In titles, tags, states of pull requests and messages."""
    for number, text in enumerate(HOSTILE):
        fields = {
            "title": text[:400],
            "tags": [text[:100]],
            "pull_request": {"url": "https://github.com/acme/shop/pull/1", "state": text[:60]},
        }
        session = FakeSession(f"devin-{number}", "blocked", fields=fields)
        session.user_says(text)
        session.devin_says(f"{text}?")
        session.at(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url, width=320)
        await expect(host.group("Needs you")).to_have_count(len(HOSTILE))
        for summary in await host.app.locator("summary").all():
            await summary.click()
        await expect(host.app.get_by_text("onerror").last).to_be_visible()
        titles = await host.app.locator("h3").all_text_contents()
        elements = await host.app.evaluate(TAG_NAMES)
        assert await host.app.evaluate("document.title") == "Devin sessions"
        assert await host.app.evaluate("document.body.scrollWidth <= window.innerWidth")
        frames = len(host.page.frames)
    assert sorted(titles) == sorted(text[:400] for text in HOSTILE)
    assert elements.count("SCRIPT") == 1
    assert not {"IMG", "IFRAME"} & set(elements)
    assert frames == 2
    assert host.problems == []


async def test_only_secure_links_are_offered(
    browser: Browser, upstream: Upstream, clock: AutoClock
) -> None:
    for number, link in enumerate([*LINKS, "https://github.com/acme/shop/pull/214"]):
        fields = {"url": link, "pull_request": {"url": link}}
        FakeSession(f"devin-{number}", "finished", fields=fields).at(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url)
        await expect(host.group("Delivered")).to_have_count(len(LINKS) + 1)
        links = await host.app.get_by_role("link").all_inner_texts()
    assert links == ["Pull request #214 (open)", "Open in Devin"]


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
async def test_nothing_moves_for_those_who_want_less_motion(
    browser: Browser, upstream: Upstream, clock: AutoClock, motion: Motion
) -> None:
    sample(upstream)
    async with board(browser, upstream, clock) as url:
        host = await open_app(browser, url, reduced_motion=motion)
        await expect(host.group("At work")).to_have_count(1)
        animations = await host.app.evaluate("document.getAnimations().length")
    assert bool(animations) == (motion == "no-preference")
