"""Visibility: a hidden tool does not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError

from devin_mcp.keys import DevinApi
from devin_mcp.operations.catalog import READ
from devin_mcp.settings import SettingsError, resolve
from devin_mcp.settings.toolsets import DEFAULT_TOOLSETS, TOOLSETS, USAGE
from tests.conftest import Connect, Era, settings_for, text_of
from tests.declared import declared_tools
from tests.http_client import connect_over_http, start_http_server
from tests.upstream import KEYS, Upstream

pytestmark = pytest.mark.usefixtures("api")


async def tool_names(connect: Connect, **settings: str | bool) -> set[str]:
    async with connect(**settings) as client:
        return {tool.name for tool in (await client.sdk.list_tools()).tools}


async def test_toolsets_and_excluded_tools_apply_to_resources(connect: Connect, era: Era) -> None:
    async with connect(era=era, toolsets="sessions", exclude_tools="get_session") as client:
        uris = [resource.uri for resource in await client.resources()]
        assert uris == ["devin://account", "devin://sessions"]
        assert (await client.sdk.list_resource_templates()).resource_templates == []
        with pytest.raises(MCPError, match="Unknown resource: devin://playbooks"):
            await client.read("devin://playbooks")


async def test_resources_are_listed_only_with_their_list_tool(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(exclude_tools="list_playbooks") as client:
        assert not [resource for resource in await client.resources() if "playbook" in resource.uri]
        await client.read("devin://playbooks/playbook-0001")
    assert len(upstream.sent("list_playbooks")) == 0


async def test_index_names_only_resources_that_can_be_read(connect: Connect) -> None:
    async with connect(exclude_tools="get_playbook,get_session") as client:
        await client.create_session()
        assert "devin://playbooks/{id}" not in await client.read("devin://playbooks")
        assert "devin://sessions/{id}" not in await client.read("devin://sessions")


async def test_read_only_leaves_only_tools_that_read(connect: Connect, api: DevinApi) -> None:
    assert await tool_names(connect, read_only=True) == declared_tools(READ, api=api)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"read_only": True, "tools": "devin_create_session"}, "leave no tool"),
        ({"tools": "devin_fly"}, "--tools names no tool"),
    ],
)
async def test_settings_without_any_tool_are_refused(
    connect: Connect, settings: dict[str, str | bool], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        await tool_names(connect, **settings)


async def test_toolsets_tools_and_exclusions_combine(connect: Connect, api: DevinApi) -> None:
    secrets = {"devin_list_secrets", "devin_create_secret", "devin_delete_secret"}
    assert await tool_names(connect) == declared_tools(api=api)
    assert await tool_names(connect, tools="get_session") == {"devin_get_session"}
    assert await tool_names(connect, toolsets="secrets") == secrets
    both = await tool_names(connect, toolsets="secrets", tools="get_session")
    assert both == secrets | {"devin_get_session"}
    rest = await tool_names(connect, toolsets="secrets", exclude_tools="devin_delete_secret")
    assert rest == secrets - {"devin_delete_secret"}


async def test_default_and_all_name_toolsets(connect: Connect, api: DevinApi) -> None:
    everything = frozenset(TOOLSETS)
    assert await tool_names(connect, toolsets="default") == declared_tools(api=api)
    assert await tool_names(connect, toolsets="all") == declared_tools(api=api, toolsets=everything)
    both = await tool_names(connect, toolsets="Default, usage")
    assert both == declared_tools(api=api, toolsets=DEFAULT_TOOLSETS | {USAGE})
    reading = await tool_names(connect, toolsets="all", read_only=True)
    assert reading == declared_tools(READ, api=api, toolsets=everything)


@pytest.mark.one_api("v1", reason="v3 has these tools.")
async def test_toolset_that_the_key_cannot_use_is_told_at_the_start(connect: Connect) -> None:
    with pytest.raises(
        SettingsError, match="no tool is left: those of schedules do not exist on v1"
    ):
        await tool_names(connect, toolsets="schedules")
    async with connect(
        DEVIN_API_KEY="", toolsets="schedules"
    ) as client:  # hosts list without a key
        assert (await client.sdk.list_tools()).tools == []


async def test_order_of_toolsets_does_not_matter(connect: Connect) -> None:
    first = await tool_names(connect, toolsets="playbooks,secrets")
    second = await tool_names(connect, toolsets="secrets,playbooks")
    assert first == second


async def test_hidden_tool_answers_exactly_as_an_unknown_one(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    async with connect(era=era, read_only=True) as client:
        hidden = await client.sdk.call_tool("devin_create_session", {"prompt": "p"})
        unknown = await client.sdk.call_tool("devin_creat_session", {"prompt": "p"})
        assert text_of(hidden).replace("create", "creat") == text_of(unknown)
        assert "devin_create_session" not in str((await client.sdk.list_tools()).tools)
    assert upstream.count("POST") == 0


async def test_results_name_no_hidden_tool(connect: Connect) -> None:
    async with connect(read_only=True) as client:
        assert "devin_delegate_task" not in (await client.ok("list_sessions"))["next"]


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({}, {"path", "save_to"}),
        ({"read_only": True}, set()),
        ({"transport": "http"}, set()),
    ],
)
async def test_file_parameters_exist_only_where_files_are_allowed(
    connect: Connect, files: Path, settings: dict[str, Any], parameters: set[str]
) -> None:
    """`path` reads a file for an upload, `save_to` writes a download."""
    async with connect(files_root=files, **settings) as client:
        tools = {tool.name: tool for tool in (await client.sdk.list_tools()).tools}
    attachment_tools = {"devin_upload_attachment", "devin_download_attachment"} & set(tools)
    properties = [set(tools[name].input_schema["properties"]) for name in attachment_tools]
    assert set().union(*properties) & {"path", "save_to"} == parameters


async def test_server_started_in_home_or_root_allows_no_files(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (home := tmp_path / "home").mkdir()
    (project := tmp_path / "project").mkdir()
    monkeypatch.setenv("HOME", str(home))
    for directory in ("/", str(home), str(tmp_path)):  # the last contains the home directory
        monkeypatch.chdir(directory)
        assert resolve({}, {}).files_root == ()
    async with connect() as client:
        assert "no argument path" in await client.error("upload_attachment", path="x")
    monkeypatch.chdir(project)
    assert resolve({}, {}).files_root == (project.resolve(),)


@pytest.mark.one_api("v3", reason="It uses both keys.")
async def test_callers_of_one_server_see_the_arguments_of_their_api(upstream: Upstream) -> None:
    async with (
        start_http_server(settings_for(upstream, auth="caller-key", DEVIN_API_KEY="")) as url,
        connect_over_http(url, {"x-devin-api-key": KEYS["v1"]}) as v1,
        connect_over_http(url, {"x-devin-api-key": KEYS["v3"]}) as v3,
    ):
        properties = [
            {
                tool.name: set(tool.input_schema["properties"])
                for tool in (await client.sdk.list_tools()).tools
            }
            for client in (v1, v3, v1)
        ]
        refused = await v1.error("create_session", prompt="p", mode="fast")
        created = await v3.ok("create_session", prompt="p", mode="fast")
    of_v1, of_v3, again = properties
    assert of_v1 == again
    assert set(of_v1) <= set(of_v3)
    assert "mode" in of_v3["devin_create_session"] - of_v1["devin_create_session"]
    assert "idempotent" in of_v1["devin_create_session"] - of_v3["devin_create_session"]
    assert "mode exists on v3 only" in refused
    assert created["session_id"] in upstream.organization.sessions
