"""Two callers of one server, each with a Devin key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.clock import ManualClock
from tests.conftest import ToolClient, settings_for
from tests.http_client import connect_over_http, start_http_server
from tests.upstream import KEY, Upstream

OTHER_KEY = "apk_user_other_9876543210"


@asynccontextmanager
async def two_callers(
    upstream: Upstream, manual_clock: ManualClock
) -> AsyncIterator[tuple[ToolClient, ToolClient]]:
    """Two clients with different keys on one server, over real HTTP."""
    async with (
        start_http_server(settings_for(upstream, auth="caller-key"), clock=manual_clock) as url,
        connect_over_http(url, {"x-devin-api-key": KEY}) as first,
        connect_over_http(url, {"x-devin-api-key": OTHER_KEY}) as second,
    ):
        yield first, second
