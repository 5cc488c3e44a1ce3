"""The board is offered to hosts that declare MCP Apps; others see nothing of it and pay nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from devin_mcp.server.apps.extension import APPS, BOARD, PAGE_TYPE
from tests.conftest import settings_for
from tests.http_client import ACCEPT, INITIALIZE, request_with, start_http_server
from tests.upstream import V3_KEY, Upstream

DECLARED: dict[str, Any] = {APPS: {"mimeTypes": [PAGE_TYPE]}}
OPENERS = {"devin_list_sessions", "devin_get_session"}
MAX_PAGE_BYTES = 24 * 1024


async def modern(
    url: str, method: str, extensions: dict[str, Any] | None = None, **params: Any
) -> dict[str, Any]:
    """The result of a request of 2026-07-28, or its error."""
    declared = DECLARED if extensions is None else extensions
    reply = await request_with(declared, url, method, **params)
    result: dict[str, Any] = reply.get("result") or reply["error"]
    return result


async def legacy(url: str, extensions: dict[str, Any]) -> tuple[httpx.Headers, dict[str, Any]]:
    """The headers of the answer to `initialize`, and the tools for a client that sends its id."""
    params = {
        "protocolVersion": "2025-11-25",
        "clientInfo": {"name": "raw", "version": "0"},
        "capabilities": {"extensions": extensions},
    }
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
    async with httpx.AsyncClient(headers=ACCEPT) as http:
        started = await http.post(url, json=INITIALIZE | {"params": params})
        headers = {"mcp-protocol-version": "2025-11-25"}
        if "mcp-session-id" in started.headers:
            headers["mcp-session-id"] = started.headers["mcp-session-id"]
        listed = await http.post(url, json=listing, headers=headers)
    (line,) = [line for line in listed.text.splitlines() if line.startswith("data: {")]
    result: dict[str, Any] = json.loads(line.removeprefix("data: "))["result"]
    return started.headers, result


def opening(listed: dict[str, Any]) -> set[str]:
    """The tools that open the board."""
    openers = set()
    for tool in listed["tools"]:
        meta = tool.get("_meta", {})
        if meta.get("ui"):
            assert meta["ui"]["resourceUri"] == meta["ui/resourceUri"] == BOARD
            openers.add(tool["name"])
    return openers


async def test_host_that_renders_apps_finds_and_reads_the_board(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream, DEVIN_API_KEY=V3_KEY)) as url:
        discovered = await modern(url, "server/discover")
        tools = await modern(url, "tools/list")
        resources = await modern(url, "resources/list")
        read = await modern(url, "resources/read", uri=BOARD)
    assert APPS in discovered["capabilities"]["extensions"]
    assert opening(tools) == OPENERS
    (listed,) = [item for item in resources["resources"] if item["uri"].startswith("ui://")]
    assert listed["mimeType"] == PAGE_TYPE
    (page,) = read["contents"]
    assert page["mimeType"] == PAGE_TYPE
    assert page["text"].startswith("<!doctype html>")
    assert "devin_archive_session" in page["text"].partition("<head>")[0]
    assert len(page["text"].encode()) <= MAX_PAGE_BYTES


@pytest.mark.parametrize(
    "extensions", [{}, {APPS: {}}, {APPS: {"mimeTypes": ["text/html"]}}, {APPS: {"mimeTypes": 1}}]
)
async def test_other_hosts_see_nothing_and_pay_nothing(
    upstream: Upstream, extensions: dict[str, Any]
) -> None:
    async with start_http_server(settings_for(upstream)) as url:
        tools = await modern(url, "tools/list", extensions)
        resources = await modern(url, "resources/list", extensions)
        _, legacy_tools = await legacy(url, extensions)
    async with start_http_server(settings_for(upstream, apps="false")) as url:
        without = await modern(url, "tools/list", {})
    assert tools["tools"] == without["tools"]
    assert legacy_tools["tools"] == without["tools"]
    assert "ui://" not in json.dumps(resources)


async def test_older_client_over_http_gets_an_id_that_says_so(upstream: Upstream) -> None:
    """It declares apps once, and this server remembers nothing."""
    async with start_http_server(settings_for(upstream)) as url:
        headers, tools = await legacy(url, DECLARED)
        others, _ = await legacy(url, {})
    assert headers["mcp-session-id"].startswith("apps-")
    assert opening(tools) == OPENERS
    assert "mcp-session-id" not in others


async def test_no_apps_leaves_the_board_out(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream, apps="false")) as url:
        discovered = await modern(url, "server/discover")
        tools = await modern(url, "tools/list")
        read = await modern(url, "resources/read", uri=BOARD)
        _, legacy_tools = await legacy(url, DECLARED)
    assert APPS not in discovered["capabilities"]["extensions"]
    assert opening(tools) == opening(legacy_tools) == set()
    assert "Unknown resource" in read["message"]


async def test_board_is_hidden_where_its_tools_are(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream, toolsets="knowledge")) as url:
        resources = await modern(url, "resources/list")
        read = await modern(url, "resources/read", uri=BOARD)
    assert "ui://" not in json.dumps(resources)
    assert "Unknown resource" in read["message"]


async def test_page_knows_the_tools_of_its_caller(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream, read_only="true")) as url:
        read = await modern(url, "resources/read", uri=BOARD)
    tools = 'data-tools="devin_list_sessions devin_get_session devin_wait_for_sessions"'
    assert tools in read["contents"][0]["text"]
