"""One browser for the tests of a module: starting it takes as long as most of them.

For no longer: while its event loop is there, no other test of the worker could run one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.apps.host_page import start_browser


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The event loop of the browser, and so of its tests."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with start_browser() as browser:
        yield browser
