"""The published tools of both APIs: portable schemas and a size budget."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.cli.tools import bytes_read, json_bytes
from devin_mcp.keys import DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.capabilities import (
    API_CAPABILITIES,
    READ_ENVIRONMENT,
    READ_FILES,
    WRITE,
    WRITE_FILES,
)
from devin_mcp.operations.catalog import READ
from devin_mcp.server import tool_schemas
from devin_mcp.server.instructions import instructions
from devin_mcp.server.tools import published_tools
from devin_mcp.server.visibility import VisibleTools, visible_tools
from devin_mcp.settings import resolve
from devin_mcp.settings.toolsets import ALL, DEFAULT

SNAPSHOTS = Path(__file__).parent / "snapshots"
CAPABILITIES = frozenset({READ_FILES, WRITE_FILES, READ_ENVIRONMENT, WRITE})


def view(*toolsets: str) -> dict[DevinApi, VisibleTools]:
    """What a caller of each API can see, with all capabilities."""
    settings = resolve({"toolsets": toolsets}, {})
    tools = VisibleTools(visible_tools(settings, "stdio").operations, CAPABILITIES)
    return {api: tools.of_api(api) for api in API_CAPABILITIES}


FULL = view(ALL)
MAX_INSTRUCTIONS_CHARS = 1_200
MAX_DESCRIPTION_CHARS = 1_024
MAX_INPUT_BYTES: dict[DevinApi, int] = {"v1": 12_500, "v3": 13_750}
"""Names, descriptions and input schemas of the default tools: what every model reads in every
conversation.
"""
MAX_CATALOGUE_BYTES = 16 * 1024
"""The same of all tools."""
MAX_TOOL_BYTES = 1_700
MAX_LISTING_BYTES = 30_500
if os.environ.get("UPDATE_SNAPSHOTS"):
    tool_schemas.FILE.write_text(tool_schemas.text_of_file())
TOOLS: dict[DevinApi, dict[str, dict[str, Any]]] = {
    api: {tool["name"]: tool for tool in published_tools(visible)} for api, visible in FULL.items()
}

IDEMPOTENT_POSTS = {"devin_archive_session": "archiving twice archives once"}

VERBS = (
    "List",
    "Read",
    "Wait",
    "Hand",
    "Send",
    "Stop",
    "Download",
    "Upload",
    "Store",
    "Archive",
    "Delete",
    "Create",
    "Change",
    "Edit",
)

every_api = pytest.mark.parametrize("api", TOOLS)
every_tool = pytest.mark.parametrize(
    ("api", "tool"),
    [
        pytest.param(api, tool, id=f"{api}-{name}")
        for api, tools in TOOLS.items()
        for name, tool in tools.items()
    ],
)


def nodes(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield where, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{where}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{where}[]")


def schemas(tool: dict[str, Any]) -> list[dict[str, Any]]:
    return [tool["inputSchema"], *([tool["outputSchema"]] if "outputSchema" in tool else [])]


@every_tool
def test_schemas_use_only_keywords_that_all_clients_accept(
    api: DevinApi,
    tool: dict[str, Any],
) -> None:
    for schema in schemas(tool):
        assert schema["type"] == "object"
        for where, node in nodes(schema):
            forbidden = {
                "$ref",
                "$defs",
                "anyOf",
                "oneOf",
                "allOf",
                "const",
                "additionalProperties",
                "default",
            } & set(node)
            assert not forbidden, f"{tool['name']}{where} has {forbidden}; make it one plain type"
            assert isinstance(node.get("type"), str), (
                f"{tool['name']}{where} needs exactly one type"
            )
            assert not isinstance(node.get("title"), str), (
                f"{tool['name']}{where} carries a generated title"
            )
            if node["type"] == "array":
                assert "items" in node, f"{tool['name']}{where} needs items"
            assert all(isinstance(choice, str) for choice in node.get("enum", []))


@every_tool
def test_every_parameter_has_a_description_of_one_line(
    api: DevinApi,
    tool: dict[str, Any],
) -> None:
    for where, node in nodes(tool["inputSchema"]):
        if where and not where.endswith("[]"):
            text = node.get("description", "")
            assert text, f"{tool['name']}{where} has no description"
            assert "\n" not in text


@every_tool
def test_tool_name_and_description_have_the_agreed_form(
    api: DevinApi,
    tool: dict[str, Any],
) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,29}", tool["name"])
    assert 20 <= len(tool["description"]) <= MAX_DESCRIPTION_CHARS
    verb = tool["description"].split()[0]
    assert verb in VERBS, f"{tool['name']}: a description begins with a verb such as {VERBS}"


@every_tool
def test_annotations_follow_from_the_effect(
    api: DevinApi,
    tool: dict[str, Any],
) -> None:
    operation = next(item for item in OPERATIONS if item.tool_name == tool["name"])
    hints = tool["annotations"]
    assert hints["destructiveHint"] == (operation.confirmation is not None)
    assert hints["openWorldHint"] is True
    if operation.writes_with is None:
        assert hints["readOnlyHint"] == (operation.effect is READ)
        endpoint = operation.v1 or operation.v3
        may_differ = endpoint is None or endpoint.method in {"POST", "PATCH"}
        assert hints["idempotentHint"] == (not may_differ or tool["name"] in IDEMPOTENT_POSTS)


@every_api
def test_only_download_attachment_has_no_output_schema(api: DevinApi) -> None:
    assert [name for name, tool in TOOLS[api].items() if "outputSchema" not in tool] == [
        "devin_download_attachment"
    ]


def test_download_is_read_only_unless_it_can_save_a_file() -> None:
    def reads(**flags: list[str]) -> bool:
        view = visible_tools(resolve(flags, {}), "stdio")
        tool = next(
            item for item in published_tools(view) if item["name"] == "devin_download_attachment"
        )
        assert ("save_to" in tool["inputSchema"]["properties"]) != tool["annotations"][
            "readOnlyHint"
        ]
        return bool(tool["annotations"]["readOnlyHint"])

    assert reads(read_only=["true"], files_root=["."]) is True
    assert reads(files_root=["."]) is False


def assert_fits(part: str, size: int, bound: str, limit: int) -> None:
    assert size <= limit, (
        f"{part}: {size:,} bytes, {size - limit:,} more than {bound} allows. Shorten descriptions "
        "or leave out a parameter. If every conversation should pay for it (CONTRIBUTING.md), "
        f"raise {bound} in this file, and write the docs with UPDATE_DOCS=1 pytest tests/docs."
    )


@every_api
def test_tools_fit_the_size_budget(api: DevinApi) -> None:
    default_tools = published_tools(view(DEFAULT)[api])
    total = sum(map(bytes_read, default_tools))
    assert_fits(f"default tools of {api}", total, "MAX_INPUT_BYTES", MAX_INPUT_BYTES[api])
    total = sum(map(bytes_read, TOOLS[api].values()))
    assert_fits(f"all tools of {api}", total, "MAX_CATALOGUE_BYTES", MAX_CATALOGUE_BYTES)
    for name, tool in TOOLS[api].items():
        assert_fits(name, bytes_read(tool), "MAX_TOOL_BYTES", MAX_TOOL_BYTES)
    listing = json_bytes(default_tools)
    assert_fits(f"tools/list of {api}", listing, "MAX_LISTING_BYTES", MAX_LISTING_BYTES)


@every_api
def test_order_of_tools_is_stable(api: DevinApi) -> None:
    assert json.dumps(published_tools(FULL[api])) == json.dumps(published_tools(FULL[api]))
    assert [name for name in TOOLS[api] if name in TOOLS["v1"]] == list(TOOLS["v1"])
    assert next(iter(TOOLS[api])) == "devin_list_sessions"


def test_instructions_are_short_and_name_only_visible_tools() -> None:
    for flags in (
        {},
        {"read_only": ["true"]},
        {"toolsets": ["knowledge"]},
        {"tools": ["get_session"]},
    ):
        view = visible_tools(resolve(flags, {}), "stdio")
        text = instructions(view, sandbox=True)
        assert len(text) <= MAX_INSTRUCTIONS_CHARS
        assert "SANDBOX" in text
        assert set(re.findall(r"devin_[a-z_]+", text)) <= view.names
        for tool in published_tools(view):
            assert set(re.findall(r"devin_[a-z_]+", tool["description"])) <= view.names
    for api, visible in FULL.items():
        text = instructions(visible, sandbox=True)
        assert len(text) <= MAX_INSTRUCTIONS_CHARS
        assert "devin_delegate_task" in text
        assert ("held" in text) == (api == "v3")


def test_schemas_in_the_package_are_those_of_the_operations() -> None:
    """`UPDATE_SNAPSHOTS=1` writes the file that tools are listed with."""
    advice = "run UPDATE_SNAPSHOTS=1 pytest tests/conventions"
    assert tool_schemas.FILE.read_text() == tool_schemas.text_of_file(), advice


@every_tool
def test_published_tool_equals_its_snapshot(api: DevinApi, tool: dict[str, Any]) -> None:
    """`UPDATE_SNAPSHOTS=1` writes the snapshots; their diff is part of the review."""
    file = SNAPSHOTS / api / f"{tool['name']}.json"
    text = json.dumps(tool, indent=1) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    before = file.read_text() if file.exists() else ""
    assert before == text, "".join(
        difflib.unified_diff(before.splitlines(True), text.splitlines(True), "snapshot", "now")
    )


@every_api
def test_every_snapshot_belongs_to_a_tool(api: DevinApi) -> None:
    assert {file.stem for file in (SNAPSHOTS / api).iterdir()} == set(TOOLS[api])
