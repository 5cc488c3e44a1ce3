"""A host in a headless Chromium: the official bridge of MCP Apps, and a frame that may do nothing.

The page's origin exists only in the browser; its requests go to the real server, as another
origin's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Frame,
    Locator,
    Page,
    Route,
    async_playwright,
)

from tests.clock import AutoClock
from tests.conftest import settings_for
from tests.http_client import start_http_server
from tests.third_party.install import INSTALLED
from tests.third_party.processes import PACKAGES, find_node, run, skip_or_fail
from tests.upstream import V3_KEY, Upstream

Motion = Literal["reduce", "no-preference"]
Theme = Literal["light", "dark"]

ORIGIN = "http://localhost:9"
CHROMIUMS = ("chromium-headless-shell", "chromium", "google-chrome")
ABILITIES: dict[str, Any] = {"openLinks": {}, "serverTools": {}, "updateModelContext": {"text": {}}}
HTML = """<!doctype html><meta charset="utf-8"><title>Host</title><body style="margin:0">
<iframe title="app" sandbox="allow-scripts" style="border:0; width:100%; height:100px"></iframe>
<script type="module" src="/host.js"></script>"""
EXPECTED_ERROR = "status of 405"
"""A client of 2025-11-25 tries GET, too."""
_BUNDLE_TIMEOUT = 30.0


@dataclass
class HostPage:
    """A page of the host, in which a tool's app runs."""

    page: Page
    problems: list[str] = field(default_factory=list)
    """What the browser reports: exceptions, violations of the policy, failed requests."""

    @property
    def app(self) -> Frame:
        return next(frame for frame in self.page.frames if frame is not self.page.main_frame)

    async def skip(self, seconds: float) -> None:
        """Advance the page's clock, and let what was due happen."""
        await self.page.clock.fast_forward(int(seconds * 1000))
        await self.page.wait_for_timeout(200)

    async def records(self, kind: str) -> list[dict[str, Any]]:
        """What the app asked of the host: page, size, link or context."""
        records = await self.page.evaluate("window.records")
        return [record for record in records if record["kind"] == kind]

    async def record(self, kind: str) -> dict[str, Any]:
        """The first of these, which is waited for."""
        is_there = f"window.records.some((record) => record.kind === '{kind}')"
        await self.page.wait_for_function(is_there)
        return (await self.records(kind))[0]

    def group(self, name: str) -> Locator:
        """The cards of a group, by its heading."""
        section = self.app.locator("section", has=self.app.get_by_role("heading", name=name))
        return section.locator("article")

    def button(self, name: str) -> Locator:
        return self.app.get_by_role("button", name=name)

    async def buttons(self) -> list[str]:
        """The names of all that can be pressed."""
        return await self.app.locator("button:visible:not([role=link])").all_inner_texts()

    def link(self, name: str) -> Locator:
        return self.app.get_by_role("link", name=name)

    async def axe(self) -> list[str]:
        """What axe-core finds in the app."""
        await self.app.evaluate((PACKAGES / "axe-core" / "axe.min.js").read_text())
        found = await self.app.evaluate("axe.run()")
        return [
            f"{violation['id']}: {node['html']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]


@asynccontextmanager
async def board(
    browser: Browser, upstream: Upstream, clock: AutoClock, **settings: Any
) -> AsyncIterator[str]:
    """The URL of a server that pages of ORIGIN may call; on v3 unless a key is given. At the end
    the pages of the browser are closed.
    """
    settings = {"allowed_origins": ORIGIN, "DEVIN_API_KEY": V3_KEY} | settings
    async with start_http_server(settings_for(upstream, **settings), clock) as url:
        try:
            yield url
        finally:
            for context in browser.contexts:
                await context.close()


@asynccontextmanager
async def start_browser() -> AsyncIterator[Browser]:
    """Chromium; without it the test is skipped."""
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if executable is None:
        skip_or_fail("there is no Chromium: python -m tests.third_party.install")
    # A page of localhost that no server sent may not reach loopback addresses otherwise.
    flags = ["--no-sandbox", "--disable-gpu", "--disable-features=LocalNetworkAccessChecks"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


async def open_app(
    browser: Browser,
    url: str,
    tool: str = "devin_list_sessions",
    *,
    era: str = "auto",
    theme: Theme = "light",
    width: int = 820,
    abilities: dict[str, Any] | None = None,
    variables: dict[str, str] | None = None,
    reduced_motion: Motion = "no-preference",
    **args: Any,
) -> HostPage:
    """Call the tool in a new page of the host, and wait until its app shows the result."""
    page = await browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        reduced_motion=reduced_motion,
        locale="en-US",
    )
    await page.clock.install()
    host = HostPage(page)

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and EXPECTED_ERROR not in message.text:
            host.problems.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: host.problems.append(str(error)))

    async def serve(route: Route) -> None:
        is_script = route.request.url.endswith("/host.js")
        body, kind = (_bundle(), "text/javascript") if is_script else (HTML, "text/html")
        await route.fulfill(body=body, content_type=kind)

    await page.route(f"{ORIGIN}/**", serve)
    options = {
        "url": url,
        "era": era,
        "tool": tool,
        "args": args,
        "theme": theme,
        "variables": variables or {},
        "abilities": ABILITIES if abilities is None else abilities,
    }
    await page.add_init_script(f"window.options = {json.dumps(options)}")
    await page.goto(f"{ORIGIN}/")
    await page.wait_for_function("window.records?.some(({ kind }) => kind === 'result')")
    return host


@lru_cache(maxsize=1)
def _bundle() -> str:
    """The host's script with the bridge and the client, as one module."""
    esbuild = str(PACKAGES / "esbuild" / "bin" / "esbuild")
    script = Path(__file__).with_name("host.mjs")
    command = [find_node(), esbuild, "--bundle", "--format=esm", "--log-level=warning"]
    command += [f"--sourcefile={script}"]
    process = run(command, cwd=INSTALLED, timeout=_BUNDLE_TIMEOUT, script=script)
    assert process.status == 0, str(process)
    return process.out
