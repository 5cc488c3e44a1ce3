"""The published tools: portable schemas, a size budget, and the names of Devin's contract."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import READ, READ_ENVIRONMENT, READ_FILES, WRITE_FILES
from devin_mcp.server.instructions import instructions
from devin_mcp.server.tools import published_tools
from devin_mcp.server.visibility import VisibleTools, visible_tools
from devin_mcp.settings import resolve

SNAPSHOTS = Path(__file__).parent / "snapshots"
CONTRACT = yaml.safe_load((Path(__file__).parent / "v1.openapi.yaml").read_text())
FULL = VisibleTools(
    visible_tools(resolve({}, {}), "stdio").operations,
    frozenset({READ_FILES, WRITE_FILES, READ_ENVIRONMENT}),
)
MAX_INSTRUCTIONS_CHARS = 1_200
MAX_DESCRIPTION_CHARS = 1_024
MAX_INPUT_BYTES = 12_500
"""Names, descriptions and input schemas of all tools: what every model reads in every conversation.
"""
MAX_LISTING_BYTES = 26_000
TOOLS = {tool["name"]: tool for tool in published_tools(FULL)}

VERBS = (
    "List",
    "Read",
    "Wait",
    "Start",
    "Hand",
    "Replace",
    "Send",
    "Terminate",
    "Download",
    "Upload",
    "Store",
    "Delete",
    "Create",
    "Change",
)

every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


def nodes(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield where, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{where}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{where}[]")


def schemas(tool: dict[str, Any]) -> list[dict[str, Any]]:
    return [tool["inputSchema"], *([tool["outputSchema"]] if "outputSchema" in tool else [])]


@every_tool
def test_schemas_use_only_keywords_that_all_clients_accept(tool: dict[str, Any]) -> None:
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
def test_every_parameter_has_a_description_of_one_line(tool: dict[str, Any]) -> None:
    for where, node in nodes(tool["inputSchema"]):
        if where and not where.endswith("[]"):
            text = node.get("description", "")
            assert text, f"{tool['name']}{where} has no description"
            assert "\n" not in text


@every_tool
def test_tool_name_and_description_have_the_agreed_form(tool: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,29}", tool["name"])
    assert 20 <= len(tool["description"]) <= MAX_DESCRIPTION_CHARS
    verb = tool["description"].split()[0]
    assert verb in VERBS, f"{tool['name']}: a description begins with a verb such as {VERBS}"


@every_tool
def test_annotations_follow_from_the_effect(tool: dict[str, Any]) -> None:
    operation = next(item for item in OPERATIONS if item.tool_name == tool["name"])
    hints = tool["annotations"]
    assert hints["destructiveHint"] == (operation.effect.value == "destroy")
    assert hints["openWorldHint"] is True
    if tool["name"] != "devin_download_attachment":
        assert hints["readOnlyHint"] == (operation.effect is READ)
        assert hints["idempotentHint"] == (
            operation.v1 is not None and operation.v1.method != "POST"
        )


def test_only_download_attachment_has_no_output_schema() -> None:
    assert [name for name, tool in TOOLS.items() if "outputSchema" not in tool] == [
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


def test_tools_fit_the_size_budget() -> None:
    """CONTRIBUTING asks before a tool is added: should every conversation pay for it?"""
    input_bytes = sum(
        len(
            json.dumps(
                [tool["name"], tool["description"], tool["inputSchema"]], separators=(",", ":")
            )
        )
        for tool in TOOLS.values()
    )
    listing_bytes = len(json.dumps(list(TOOLS.values()), separators=(",", ":")))
    assert input_bytes <= MAX_INPUT_BYTES
    assert listing_bytes <= MAX_LISTING_BYTES


def test_order_of_tools_is_stable() -> None:
    assert json.dumps(published_tools(FULL)) == json.dumps(published_tools(FULL))
    assert next(iter(TOOLS)) == "devin_list_sessions"


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
    assert "devin_delegate_task" in instructions(FULL, sandbox=False)


def test_every_operation_of_the_contract_is_declared_with_its_route() -> None:
    documented = {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, methods in CONTRACT["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }
    assert {
        operation.operation_id: operation.v1.route
        for operation in OPERATIONS
        if operation.v1 is not None
    } == documented


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = CONTRACT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


OUR_PARAMETERS = {
    "after_event_id": "the conversation is read on from a message",
    "attachment_urls": "become ATTACHMENT lines of the message",
    "body": "how much of each body a list shows",
    "clear": "fields are emptied by name",
    "content": "a file can be passed inline",
    "cursor": "lists and waits continue",
    "encoding": "of content",
    "folder_id": "filters the list here",
    "from_char": "a long text is read in parts",
    "how": "tags are replaced, added or removed",
    "max_wait_s": "a call can wait",
    "messages": "the number of messages",
    "name": "of a file",
    "note_ids": "filters the list here",
    "path": "a local file",
    "phase": "filters the list here",
    "save_to": "a local file",
    "search": "filters the list here",
    "url": "of an attachment, instead of its parts",
    "value_from_env": "a value that no model sees",
}
"""Parameters that Devin does not have, each with its reason."""


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.v1 is not None],
    ids=lambda operation: operation.operation_id,
)
def test_parameters_have_the_names_of_the_contract(operation: Any) -> None:
    documented = CONTRACT["paths"][operation.v1.template][operation.v1.method.lower()]
    schema = TOOLS[operation.tool_name]["inputSchema"]
    names = set(schema["properties"])
    media = documented.get("requestBody", {}).get("content", {})
    if "application/json" in media:
        body = resolved(media["application/json"]["schema"])
        assert set(body["properties"]) <= names, "a documented field is missing"
        changes = (
            operation.effect.value == "change"
            and operation.operation_id.startswith("update_")
            and "tags" not in names
        )
        optional = {"value", "sensitive", "note"}  # have a default or an alternative
        if not changes:
            assert set(body["required"]) - optional <= set(schema.get("required", []))
    query = {parameter["name"] for parameter in documented.get("parameters", [])} - {
        "skip",
        "offset",
    }
    assert query <= names
    places = set(re.findall(r"\{(\w+)\}", operation.v1.template))
    documented_names = (
        query | places | (set(body["properties"]) if "application/json" in media else set())
    )
    assert names - documented_names <= OUR_PARAMETERS.keys(), (
        "a parameter that Devin does not have needs a reason here"
    )


@every_tool
def test_published_tool_equals_its_snapshot(tool: dict[str, Any]) -> None:
    """`UPDATE_SNAPSHOTS=1` writes the snapshots; their diff is part of the review."""
    file = SNAPSHOTS / f"{tool['name']}.json"
    text = json.dumps(tool, indent=1) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        file.write_text(text)
    before = file.read_text() if file.exists() else ""
    assert before == text, "".join(
        difflib.unified_diff(before.splitlines(True), text.splitlines(True), "snapshot", "now")
    )


def test_every_snapshot_belongs_to_a_tool() -> None:
    assert {file.stem for file in SNAPSHOTS.glob("*.json")} == set(TOOLS)
