"""One browser for all tests of a worker: starting it takes as long as most of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.apps.host_page import start_browser


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of the browser, and so of its tests."""
    return "asyncio"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with start_browser() as browser:
        yield browser
