"""Visibility: a hidden tool does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp import MCPError

from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import resolve
from tests.conftest import Connect, Era, text_of
from tests.upstream import Upstream

READS = {
    "devin_list_sessions",
    "devin_get_session",
    "devin_wait_for_sessions",
    "devin_download_attachment",
    "devin_list_secrets",
    "devin_list_knowledge",
    "devin_list_playbooks",
    "devin_get_playbook",
}


def names(**flags: list[str]) -> set[str]:
    return set(visible_tools(resolve(flags, {}), "stdio").names)


async def test_toolsets_and_excluded_tools_apply_to_resources(connect: Connect, era: Era) -> None:
    async with connect(era=era, toolsets="sessions", exclude_tools="get_session") as client:
        assert [resource.uri for resource in await client.resources()] == ["devin://sessions"]
        assert (await client.sdk.list_resource_templates()).resource_templates == []
        with pytest.raises(MCPError, match="Unknown resource: devin://playbooks"):
            await client.read("devin://playbooks")


async def test_resources_are_listed_only_with_their_list_tool(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(exclude_tools="list_playbooks") as client:
        assert not [resource for resource in await client.resources() if "playbook" in resource.uri]
        await client.read("devin://playbooks/playbook-0001")
    assert upstream.count("GET", "/v1/playbooks") == 0
    async with connect(exclude_tools="get_playbook,get_session") as client:
        assert "devin://playbooks/{id}" not in await client.read("devin://playbooks")
        await client.ok("create_session", prompt="p")
        assert "devin://sessions/{id}" not in await client.read("devin://sessions")


def test_read_only_leaves_only_tools_that_read() -> None:
    assert names(read_only=["true"]) == READS
    with pytest.raises(SettingsError, match="leave no tool"):
        names(read_only=["true"], tools=["devin_create_session"])


def test_toolsets_tools_and_exclusions_combine() -> None:
    assert len(names()) == 22
    assert names(toolsets=["playbooks,secrets"]) == names(toolsets=["secrets", "playbooks"])
    assert names(tools=["get_session"]) == {"devin_get_session"}
    assert names(toolsets=["secrets"], tools=["get_session"]) == names(toolsets=["secrets"]) | {
        "devin_get_session"
    }
    assert names(toolsets=["secrets"], exclude_tools=["devin_delete_secret"]) == {
        "devin_list_secrets",
        "devin_create_secret",
    }
    with pytest.raises(SettingsError, match="--tools names no tool"):
        names(tools=["devin_fly"])


async def test_hidden_tool_answers_exactly_as_an_unknown_one(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    async with connect(era=era, read_only=True) as client:
        hidden = await client.sdk.call_tool("devin_create_session", {"prompt": "p"})
        unknown = await client.sdk.call_tool("devin_creat_session", {"prompt": "p"})
        assert text_of(hidden).replace("create", "creat") == text_of(unknown)
        assert "devin_create_session" not in str((await client.sdk.list_tools()).tools)
        assert "devin_delegate_task" not in (await client.ok("list_sessions"))["next"]
    assert upstream.count("POST") == 0


async def test_file_parameters_exist_only_where_files_are_allowed(
    connect: Connect, files: Path
) -> None:
    async def parameters(tool: str, **how: object) -> set[str]:
        async with connect(**how) as client:
            return next(
                set(tool_definition.input_schema["properties"])
                for tool_definition in (await client.sdk.list_tools()).tools
                if tool_definition.name == tool
            )

    assert "path" in await parameters("devin_upload_attachment", files_root=files)
    assert "path" not in await parameters(
        "devin_upload_attachment", files_root=files, transport="http"
    )
    assert "save_to" in await parameters("devin_download_attachment", files_root=files)
    assert "save_to" not in await parameters(
        "devin_download_attachment", files_root=files, read_only=True
    )
    assert "save_to" not in await parameters(
        "devin_download_attachment", files_root=files, transport="http"
    )


async def test_server_started_in_home_or_root_allows_no_files(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (home := tmp_path / "home").mkdir()
    (project := tmp_path / "project").mkdir()
    monkeypatch.setenv("HOME", str(home))
    for place in ("/", str(home), str(tmp_path)):  # the last has the home in it
        monkeypatch.chdir(place)
        assert resolve({}, {}).files_root == ()
    async with connect() as client:
        assert "no argument path" in await client.error("upload_attachment", path="x")
    monkeypatch.chdir(project)
    assert resolve({}, {}).files_root == (project.resolve(),)
