"""Arguments as hosts and models write them: what is dropped, and what is taken for an id."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from devin_mcp.errors import Invalid
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.parameters import Repository
from devin_mcp.server.arguments import HOST_ARGUMENTS, validate_arguments
from devin_mcp.server.schema import arguments_model, parameters_schema
from tests.conftest import Connect, text_of
from tests.upstream import Upstream


@pytest.mark.usefixtures("api")
async def test_arguments_that_a_host_adds_are_dropped(connect: Connect) -> None:
    """Gemini CLI sends wait_for_previous to every tool (hosts.md §1)."""
    async with connect() as client:
        await client.ok("list_playbooks", wait_for_previous=True)
        await client.ok("list_secrets", wait_for_previous=False)
        text = await client.error("list_playbooks", wait_for_prior=True)
        assert "There is no argument wait_for_prior" in text
        tools = (await client.sdk.list_tools()).tools
    names = {name for tool in tools for name in tool.input_schema["properties"]}
    assert not names & set(HOST_ARGUMENTS)


@pytest.mark.parametrize(
    "written",
    [
        " devin-1a2b ",
        "https://app.devin.ai/sessions/devin-1a2b",
        "https://app.devin.ai/sessions/devin-1a2b/?tab=chat\n",
    ],
)
async def test_link_of_a_session_is_read_as_its_id(
    connect: Connect, upstream: Upstream, written: str
) -> None:
    async with connect() as client:
        await client.error("get_session", session_id=written)
    assert upstream.requests[0].path.endswith("/devin-1a2b")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("acme/shop", "acme/shop"),
        ("https://github.com/acme/shop", "acme/shop"),
        ("https://git.acme.example:8443/group/part/shop.git/", "group/part/shop"),
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("ssh://git@github.com/acme/shop.git", "acme/shop"),
        ("https://x:token@github.com/acme/shop", None),
        ("shop-api", None),
        ("https://github.com/acme/shop/issues/12", None),
        ("https://github.com/acme/shop/tree/main/src", None),
        ("https://gitlab.com/acme/shop/-/merge_requests/1", None),
        ("acme/../shop", None),
    ],
)
def test_repository_is_owner_and_name(written: str, sent: str | None) -> None:
    if sent is not None:
        assert TypeAdapter(Repository).validate_python(written) == sent
        return
    function = next(item for item in OPERATIONS if item.operation_id == "delegate_task").function
    arguments = {"prompt": "p", "repository": written}
    with pytest.raises(Invalid) as refused:
        validate_arguments(arguments, parameters_schema(function), arguments_model(function))
    assert refused.value.message == (
        "repository must be owner/name, or the address of the repository itself."
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [("delegate_task", "; did you mean devin_delegate_task?"), ("fly\u202e", ".")],
)
async def test_unknown_tool_gets_a_suggestion(connect: Connect, name: str, hint: str) -> None:
    async with connect() as client:
        result = await client.sdk.call_tool(name, {})
    text = text_of(result)
    assert result.is_error
    assert f'There is no tool "{name}"{hint} Nothing was done.'.replace("\u202e", "\\u202e") in text
