"""JSON of Devin that is nested hundreds of levels deep is shown in part, in every read tool."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import MCPError

from devin_mcp.api.models import MAX_DEPTH, TOO_DEEP
from devin_mcp.keys import DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import READ
from devin_mcp.server.schema import parameters_schema
from tests.clock import AutoClock, ManualClock
from tests.conftest import Connect, ToolClient, text_of
from tests.operations.waiting.conversations import skip
from tests.server.test_api_arguments import required_arguments
from tests.upstream import Exchange, Fault, Upstream

DEPTHS = [MAX_DEPTH + 1, 199, 500, 700]
"""Around the limits of the parsers and serializers that are used: 200, 255 and 1000."""
ENDLESS = 2000
FIELDS = ("structured_output", "structured_output_schema", "url", "unknown")
READ_TOOLS = [
    operation
    for operation in OPERATIONS
    if operation.effect is READ and operation.operation_id != "download_attachment"
]


def nest(depth: int, opening: str = '{"a":', closing: str = "}") -> Fault:
    """Forward, and add fields of this depth to every object of the answer."""
    deep = f"{opening * depth}1{closing * depth}"

    async def fault(exchange: Exchange) -> None:
        response = await exchange.forward(exchange.request)
        body = json.dumps(with_fields(response.json())).replace('"DEEP"', deep)
        await exchange.reply(200, body.encode(), {"content-type": "application/json"})

    return fault


def with_fields(value: Any) -> Any:
    if isinstance(value, list):
        return [with_fields(part) for part in value]
    if isinstance(value, dict):
        parts = {name: with_fields(part) for name, part in value.items()}
        return parts | dict.fromkeys(FIELDS, "DEEP")
    return value


async def read_everything(
    client: ToolClient, upstream: Upstream, session_id: str, *, wait: bool = True
) -> list[str]:
    """The answers of all read tools and resources; without `wait`, not of the tool that waits."""
    ids: dict[str, Any] = {
        "session_id": session_id,
        "session_ids": [session_id],
        "playbook_id": next(iter(upstream.organization.playbooks)),
        "max_wait_s": 1,
    }
    texts = []
    names = {tool.name for tool in (await client.sdk.list_tools()).tools}
    for operation in (item for item in READ_TOOLS if item.tool_name in names):
        if operation.operation_id == "wait_for_sessions" and not wait:
            continue
        arguments = required_arguments(operation)
        parameters = parameters_schema(operation.function)["properties"]
        arguments |= {name: ids[name] for name in ids if name in parameters}
        texts.append(text_of(await client(operation.operation_id, **arguments)))
    for uri in ("devin://account", "devin://sessions", f"devin://sessions/{session_id}"):
        try:
            texts.append(await client.read(uri))
        except MCPError as error:
            texts.append(str(error))
    return texts


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("brackets", [('{"a":', "}"), ("[", "]")], ids=["objects", "lists"])
async def test_deep_answer_is_shown_in_part(
    connect: Connect,
    upstream: Upstream,
    manual_clock: ManualClock,
    api: DevinApi,
    depth: int,
    brackets: tuple[str, str],
) -> None:
    async with connect(cache_ttl=0, manual_clock=manual_clock, toolsets="all") as client:
        session_id = await client.create_session("sandbox:quick")
        skip(manual_clock, 10)
        upstream.fail("GET", ".*", *[nest(depth, *brackets)] * 99)
        for text in await read_everything(client, upstream, session_id):
            assert "a bug in it" not in text
            assert "could not be read" not in text, text
        session = await client.ok("get_session", session_id=session_id)
        assert TOO_DEEP in json.dumps(session["structured_output"], ensure_ascii=False)


async def test_endlessly_deep_answer_is_unreadable_and_no_bug(
    connect: Connect, upstream: Upstream, clock: AutoClock, api: DevinApi
) -> None:
    async with connect(cache_ttl=0, toolsets="all") as client:
        session_id = await client.create_session("sandbox:quick")
        clock.skip(10)
        upstream.fail("GET", ".*", *[nest(ENDLESS, "[", "]")] * 99)
        for text in await read_everything(client, upstream, session_id, wait=False):
            assert "a bug in it" not in text
            assert "could not be" in text


@pytest.mark.one_api("v3", reason="v1 has no schema of a playbook.")
async def test_deep_schema_is_not_cut_by_an_update(connect: Connect, upstream: Upstream) -> None:
    playbook_id = next(iter(upstream.organization.playbooks))
    upstream.fail("GET", ".*/playbooks/.*", nest(500))
    async with connect() as client:
        text = await client.error("update_playbook", playbook_id=playbook_id, title="t")
    assert "in a form that can be sent back" in text
    assert upstream.sent("update_playbook") == []
