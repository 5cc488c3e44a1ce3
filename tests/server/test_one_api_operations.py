"""An operation that exists on one API only: who sees it, and what the others are told."""

from __future__ import annotations

import pytest

from devin_mcp.api.endpoint import Endpoint
from devin_mcp.keys import DevinApi
from devin_mcp.operations.catalog import READ, Operation, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.results import Result
from devin_mcp.settings.toolsets import SESSIONS
from tests.conftest import settings_for, text_of
from tests.operation_server import serve_operations
from tests.upstream import KEYS, Upstream

pytestmark = pytest.mark.usefixtures("api")


class Weather(Result):
    text: str = "fine"


async def read_weather(_: Context) -> Weather:
    """Read the weather."""
    return Weather()


async def test_caller_of_the_other_api_is_told_where_it_exists(
    upstream: Upstream, api: DevinApi
) -> None:
    endpoints = {
        item: Endpoint.parse("read_weather", item, f"GET /{item}/weather") for item in ("v1", "v3")
    }
    settings = settings_for(upstream, DEVIN_API_KEY=KEYS[api])
    only_v1 = Operation(read_weather, READ, SESSIONS, v1=endpoints["v1"])
    async with serve_operations(settings, only_v1) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("devin_read_weather", {})
    if api == "v1":
        assert (names, result.is_error) == (["devin_read_weather"], False)
    else:
        assert names == []
        assert "devin_read_weather exists on v1 only" in text_of(result)
        assert "a key that starts with apk_, or --sandbox v1" in text_of(result)


def test_operation_without_a_route_is_refused() -> None:
    with pytest.raises(TypeError, match="a tool without one is a @workflow"):
        operation(READ, SESSIONS, permission="ViewOrgSessions")
