"""Tags that begin with our prefix mark delegations, so no caller can set one."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.keys import DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import READ, Operation
from devin_mcp.operations.parameters import OWN_TAG_PREFIX
from devin_mcp.server.schema import parameters_schema
from tests.conftest import Connect
from tests.declared import on_each_api
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("api")

SETTERS = [
    operation
    for operation in OPERATIONS
    if operation.effect is not READ
    and "tags" in parameters_schema(operation.function)["properties"]
]
REQUIRED = {"prompt": "p", "session_id": "devin-1", "name": "n", "schedule_id": "sched-0001"}


@pytest.mark.parametrize("tag", [OWN_TAG_PREFIX, f"{OWN_TAG_PREFIX}0123456789abcdef01234567"])
@on_each_api(lambda operation: operation in SETTERS)
async def test_own_tag_is_refused_and_nothing_is_sent(
    connect: Connect,
    upstream: Upstream,
    api: DevinApi,
    operation: Operation[..., Any],
    tag: str,
) -> None:
    properties = parameters_schema(operation.function)["properties"]
    arguments = {name: value for name, value in REQUIRED.items() if name in properties}
    name = operation.tool_name.removeprefix("devin_")
    async with connect(toolsets="all") as client:
        text = await client.error(name, **arguments, tags=["a", tag])
    assert text.startswith(f"tags[1] begins with {OWN_TAG_PREFIX}"), text
    assert upstream.requests == []


def test_three_tools_set_tags() -> None:
    assert {operation.tool_name.removeprefix("devin_") for operation in SETTERS} >= {
        "create_session",
        "delegate_task",
        "update_session_tags",
    }


async def test_own_tag_can_be_searched_for(connect: Connect) -> None:
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="p", idempotency_key="k")
        listed = await client.ok("list_sessions", tags=[delegated["tag"]])
    assert [row["session_id"] for row in listed["sessions"]] == [delegated["session_id"]]
