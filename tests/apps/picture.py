"""`python -m tests.apps.picture` draws docs/session-board.png: the board with a session in each
group. With a folder as its argument it draws the board in both themes and three widths there.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from tests.apps.host_page import HostPage, Theme, board, open_app, start_browser
from tests.clock import AutoClock
from tests.http_client import connect_over_http
from tests.upstream import Upstream, start_upstream

PICTURE = Path(__file__).parents[2] / "docs" / "session-board.png"
SESSIONS = {
    "sandbox:sleep": "Find out why the login test fails at night",
    "sandbox:quick": "Bump the date library and mend what breaks",
    "sandbox:forever": "Move the billing job to the new queue",
    "": "Refuse orders with a negative price",
}
"""What happens in the sandbox -> title. The last is the newest."""
WIDTHS = (360, 760, 1200)


async def draw(page: HostPage, file: Path) -> None:
    await page.group("Needs you").get_by_label("Your answer").wait_for()
    await page.group("Delivered").get_by_text("all tests pass").wait_for()
    await page.page.screenshot(path=file, full_page=True, animations="disabled")


async def main(folder: Path | None) -> None:
    clock = AutoClock()
    async with start_upstream() as upstream:
        clock.on_skip.append(upstream.sandbox.clock.advance)
        await _draw_all(upstream, clock, folder)


async def _draw_all(upstream: Upstream, clock: AutoClock, folder: Path | None) -> None:
    async with start_browser() as browser, board(browser, upstream, clock) as url:
        async with connect_over_http(url) as client:
            for script, title in SESSIONS.items():
                await client.create_session(f"{script} {title}", title=title)
        clock.skip(10)
        if folder is None:
            await draw(await open_app(browser, url, width=760), PICTURE)
            return
        themes: tuple[Theme, ...] = ("light", "dark")
        for theme in themes:
            for width in WIDTHS:
                page = await open_app(browser, url, theme=theme, width=width)
                await draw(page, folder / f"{theme}-{width}.png")


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else None))
