"""The request state of a confirmation: an answer counts only for its own call and caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import ElicitResult, InputRequiredResult, InputResponses

from tests.conftest import Connect
from tests.server.fake_user import FakeUser
from tests.upstream import KEY, Upstream

Logs = Callable[[], list[dict[str, Any]]]

ACCEPTED: InputResponses = {"confirm": ElicitResult(action="accept", content={})}


async def request_state(client: Client, **arguments: str) -> str:
    """Call devin_delete_secret and return the request state that comes with the question."""
    result = await client.session.call_tool(
        "devin_delete_secret", arguments, allow_input_required=True
    )
    assert isinstance(result, InputRequiredResult)
    assert result.request_state is not None
    return result.request_state


async def accept(client: Client, state: str, **arguments: str) -> Any:
    """Call devin_delete_secret with this request state and an accepting answer."""
    return await client.session.call_tool(
        "devin_delete_secret",
        arguments,
        input_responses=ACCEPTED,
        request_state=state,
        allow_input_required=True,
    )


async def test_unrequested_answer_is_not_accepted(connect: Connect, upstream: Upstream) -> None:
    async with connect(ask=FakeUser("decline")) as client:
        forged = await client.sdk.session.call_tool(
            "devin_delete_secret",
            {"secret_id": "secret-0001"},
            input_responses=ACCEPTED,
            allow_input_required=True,
        )
        assert isinstance(forged, InputRequiredResult)
        with pytest.raises(MCPError):
            await client.sdk.session.call_tool(
                "devin_delete_secret",
                {"secret_id": "secret-0001"},
                input_responses=ACCEPTED,
                request_state="asked",
                allow_input_required=True,
            )
    assert upstream.count("DELETE") == 0


async def test_answer_is_bound_to_the_arguments_and_the_caller(
    connect: Connect, upstream: Upstream, logs: Logs
) -> None:
    keys = "k" * 32
    async with connect(ask=FakeUser(), DEVIN_MCP_STATE_KEYS=keys) as client:
        state = await request_state(client.sdk, secret_id="secret-0001")
        with pytest.raises(MCPError, match="belongs to another call"):
            await accept(client.sdk, state, secret_id="secret-0002")
        with pytest.raises(MCPError, match="asked anew"):
            await accept(client.sdk, state[:-3] + "AAA", secret_id="secret-0001")
    async with connect(
        ask=FakeUser(), DEVIN_MCP_STATE_KEYS=keys, DEVIN_API_KEY=KEY + "x"
    ) as other_client:
        with pytest.raises(MCPError, match="another call or caller"):
            await accept(other_client.sdk, state, secret_id="secret-0001")
    assert upstream.count("DELETE") == 0
    refused = [
        line
        for line in logs()
        if line["event"] == "mcp_call" and line.get("error") == "invalid_state"
    ]
    assert len(refused) == 3
    assert not [line for line in logs() if keys in str(line)]


async def test_answer_after_a_restart_needs_a_shared_state_key(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(ask=FakeUser()) as client:
        state = await request_state(client.sdk, secret_id="secret-0001")
    async with connect(ask=FakeUser()) as client:
        with pytest.raises(MCPError, match="DEVIN_MCP_STATE_KEYS"):
            await accept(client.sdk, state, secret_id="secret-0001")
    assert upstream.count("DELETE") == 0


async def test_answer_is_valid_after_a_restart_with_a_rotated_state_key(
    connect: Connect, upstream: Upstream
) -> None:
    old, new = "o" * 32, "n" * 32
    async with connect(ask=FakeUser(), DEVIN_MCP_STATE_KEYS=old) as client:
        state = await request_state(client.sdk, secret_id="secret-0001")
    async with connect(ask=FakeUser(), DEVIN_MCP_STATE_KEYS=f"{new},{old}") as client:
        result = await accept(client.sdk, state, secret_id="secret-0001")
    assert not result.is_error
    assert upstream.count("DELETE") == 1
