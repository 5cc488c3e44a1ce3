"""Two callers of one server, each with a Devin key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devin_mcp.keys import DevinApi
from tests.clock import ManualClock
from tests.conftest import ToolClient, settings_for
from tests.http_client import connect_over_http, start_http_server
from tests.upstream import KEYS, Upstream

OTHER_KEY = "apk_user_other_9876543210"
OTHER_KEYS: dict[DevinApi, str] = {"v1": OTHER_KEY, "v3": "cog_sandbox-other-9876543210"}


@asynccontextmanager
async def two_callers(
    upstream: Upstream, manual_clock: ManualClock, api: DevinApi = "v1"
) -> AsyncIterator[tuple[ToolClient, ToolClient]]:
    """Two clients with different keys on one server, over real HTTP."""
    async with (
        start_http_server(settings_for(upstream, auth="caller-key"), clock=manual_clock) as url,
        connect_over_http(url, {"x-devin-api-key": KEYS[api]}) as first,
        connect_over_http(url, {"x-devin-api-key": OTHER_KEYS[api]}) as second,
    ):
        yield first, second
