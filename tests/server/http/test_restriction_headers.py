"""Restriction by headers: a caller's X-Devin-Mcp-Read-Only and X-Devin-Mcp-Toolsets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mcp import MCPError
from mcp.types import ResourceTemplateReference

from devin_mcp.settings.toolsets import ALL
from tests.conftest import Era, settings_for, text_of
from tests.http_client import connect_over_http, start_http_server
from tests.server.http.conftest import ANA_TOKEN
from tests.server.http.raw_requests import bearer, post_ping
from tests.upstream import KEY, V3_KEY, Upstream


@pytest.mark.parametrize(
    ("headers", "visible", "hidden"),
    [
        (
            {"x-devin-mcp-read-only": "true"},
            {"devin_list_sessions", "devin_list_secrets"},
            {"devin_create_session", "devin_delete_secret"},
        ),
        (
            {"X-Devin-Mcp-Toolsets": "secrets, knowledge"},
            {"devin_list_secrets", "devin_create_knowledge"},
            {"devin_list_sessions"},
        ),
        (
            {"X-Devin-Mcp-Toolsets": "secrets", "X-Devin-Mcp-Read-Only": "1"},
            {"devin_list_secrets"},
            {"devin_create_secret"},
        ),
        ({"x-devin-mcp-read-only": "false"}, {"devin_create_session"}, set()),
    ],
)
async def test_tool_hidden_by_a_header_answers_as_an_unknown_tool(
    upstream: Upstream, era: Era, headers: dict[str, str], visible: set[str], hidden: set[str]
) -> None:
    async with (
        start_http_server(settings_for(upstream)) as url,
        connect_over_http(url, headers, era=era) as client,
    ):
        tools = (await client.sdk.list_tools()).tools
        names = {tool.name for tool in tools}
        assert visible <= names
        assert not hidden & names
        texts = (client.sdk.instructions or "") + "".join(tool.description or "" for tool in tools)
        for name in hidden:
            assert name not in texts
            to_hidden = await client.sdk.call_tool(name, {"session_id": "devin-1"})
            to_unknown = await client.sdk.call_tool("devin_fly", {"session_id": "devin-1"})
            without_hint = re.sub(r"; did you mean \w+\?", ".", text_of(to_hidden))
            assert without_hint.replace(name, "x") == text_of(to_unknown).replace("devin_fly", "x")
    assert upstream.requests == []


async def test_toolsets_header_restricts_everything_beside_tools(upstream: Upstream) -> None:
    playbooks = ResourceTemplateReference(
        type="ref/resource", uri="devin://playbooks/{playbook_id}"
    )
    async with (
        start_http_server(settings_for(upstream)) as url,
        connect_over_http(url, {"X-Devin-Mcp-Toolsets": "knowledge"}) as client,
    ):
        resources = await client.resources()
        assert {str(resource.uri).split("/")[2] for resource in resources} == {
            "knowledge",
            "account",
        }
        templates = (await client.sdk.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == ["devin://knowledge/{note_id}"]
        assert (await client.sdk.list_prompts()).prompts == []
        for uri in ("devin://playbooks/playbook-0001", "devin://sessions"):
            with pytest.raises(MCPError, match=r"Unknown resource|Resource not found"):
                await client.read(uri)
        with pytest.raises(MCPError):
            await client.sdk.complete(playbooks, {"name": "playbook_id", "value": "f"})
        async with client.sdk.listen(
            resource_subscriptions=["devin://sessions/devin-1", "devin://knowledge"]
        ) as events:
            honored = events.honored.resource_subscriptions
    assert honored == ["devin://knowledge"]
    assert {seen.path for seen in upstream.requests} == {"/v1/knowledge"}


async def test_header_takes_the_parameter_that_writes(upstream: Upstream) -> None:
    """devin_get_session_insights reads, and with generate it has Devin do something."""
    settings = settings_for(upstream, toolsets="all", DEVIN_API_KEY=V3_KEY)
    async with start_http_server(settings) as url:
        parameters = []
        for headers in ({}, {"X-Devin-Mcp-Read-Only": "true"}):
            async with connect_over_http(url, headers) as client:
                tools = {tool.name: tool for tool in (await client.sdk.list_tools()).tools}
            tool = tools["devin_get_session_insights"]
            parameters.append("generate" in tool.input_schema["properties"])
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is bool(headers)
    assert parameters == [True, False]


@pytest.mark.parametrize(
    ("words", "has_schedules", "has_sessions"),
    [("default", False, True), ("all", True, True), ("Schedules , usage", True, False)],
)
async def test_toolsets_header_takes_the_words_of_the_flag(
    upstream: Upstream, words: str, *, has_schedules: bool, has_sessions: bool
) -> None:
    settings = settings_for(upstream, toolsets="all", DEVIN_API_KEY=V3_KEY)
    async with (
        start_http_server(settings) as url,
        connect_over_http(url, {"X-Devin-Mcp-Toolsets": words}) as client,
    ):
        names = {tool.name for tool in (await client.sdk.list_tools()).tools}
    assert ("devin_list_schedules" in names) is has_schedules
    assert ("devin_list_sessions" in names) is has_sessions


async def test_headers_cannot_widen_what_the_operator_allows(upstream: Upstream) -> None:
    headers = {"X-Devin-Mcp-Read-Only": "false", "X-Devin-Mcp-Toolsets": ALL}
    async with (
        start_http_server(settings_for(upstream, read_only=True, toolsets="playbooks")) as url,
        connect_over_http(url, headers) as client,
    ):
        names = {tool.name for tool in (await client.sdk.list_tools()).tools}
    assert names == {"devin_list_playbooks", "devin_get_playbook"}


@pytest.mark.parametrize("auth", ["none", "caller-key", "token"])
async def test_restriction_header_counts_in_every_auth_mode(
    upstream: Upstream, tokens_file: Path, auth: str
) -> None:
    settings = settings_for(
        upstream,
        auth=auth,
        **({} if auth == "none" else {"caller_tokens_file": tokens_file}),
    )
    headers = {"X-Devin-Mcp-Toolsets": "secrets"} | bearer(ANA_TOKEN)
    if auth == "caller-key":
        headers["X-Devin-Api-Key"] = KEY
    async with start_http_server(settings) as url, connect_over_http(url, headers) as client:
        names = {tool.name for tool in (await client.sdk.list_tools()).tools}
    assert names == {"devin_list_secrets", "devin_create_secret", "devin_delete_secret"}


@pytest.mark.parametrize(
    "headers",
    [
        {"x_devin_mcp_read_only": "perhaps"},
        {"x_devin_mcp_toolsets": "sessions,planes"},
        {"x_devin_mcp_toolsets": ","},
    ],
)
async def test_invalid_restriction_header_is_a_400(
    upstream: Upstream, headers: dict[str, str]
) -> None:
    async with start_http_server(settings_for(upstream)) as url:
        assert (await post_ping(url, **headers)).status_code == 400
