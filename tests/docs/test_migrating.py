"""docs/migrating.md: what one API has and the other lacks is what the tools publish."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from devin_mcp.keys import DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.capabilities import API_CAPABILITIES
from devin_mcp.operations.delegation.search import IDEMPOTENCY_DAYS
from devin_mcp.operations.sessions.start import Mode
from devin_mcp.settings import SETTINGS
from tests.conftest import Connect
from tests.conventions.test_schemas import TOOLS
from tests.docs.pages import MIGRATING, section
from tests.upstream import KEY, V3_KEY

SECTIONS: dict[DevinApi, str] = {"v1": "What is lost", "v3": "What is gained"}
OTHER: dict[DevinApi, DevinApi] = {"v1": "v3", "v3": "v1"}
NameInTool = tuple[str, str]
"""A tool, and an argument or a field of its result."""


def documented(api: DevinApi, kind: str) -> set[NameInTool]:
    """What the table says exists on this API only; `kind` is its second header."""
    rows = re.search(
        rf"^\| tools \| {kind} \|.*\n\|---.*\n((?:\|.*\n)+)",
        section(MIGRATING, SECTIONS[api]),
        re.MULTILINE,
    )
    assert rows is not None
    cells = [row.split(" | ") for row in rows[1].splitlines()]
    return {
        (tool, name)
        for row in cells
        for tool in re.findall(r"`(\w+)`", row[0])
        for name in re.findall(r"`(\w+)`", row[1])
    }


def published(api: DevinApi, schema: str) -> set[NameInTool]:
    """What only this API publishes, by tool. Fields of a row or message have their own name."""
    return {
        (tool, path[-1])
        for tool in TOOLS[api].keys() & TOOLS[OTHER[api]]
        for path in fields(TOOLS[api][tool], schema) - fields(TOOLS[OTHER[api]][tool], schema)
        if path[:-1] in {(), *fields(TOOLS[OTHER[api]][tool], schema)}
    }


def fields(tool: dict[str, Any], schema: str) -> set[tuple[str, ...]]:
    return set(_paths(tool.get(schema, {})))


def _paths(schema: dict[str, Any], parent: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    schema = schema.get("items", schema)
    for name, part in schema.get("properties", {}).items():
        yield (*parent, name)
        yield from _paths(part, (*parent, name))


def test_arguments_of_one_api_are_those_of_schemas_and_declarations() -> None:
    for api in SECTIONS:
        declared = {
            (operation.tool_name, name)
            for operation in OPERATIONS
            for name, capability in operation.api_parameters.items()
            if capability == API_CAPABILITIES[api]
        }
        assert documented(api, "argument") == published(api, "inputSchema") == declared


def test_result_fields_of_one_api_are_those_of_the_schemas() -> None:
    for api in SECTIONS:
        assert documented(api, "field of the result") == published(api, "outputSchema")


def test_tools_of_the_organization_api_alone_are_listed() -> None:
    rows = MIGRATING.read_text().partition("Tools of the Organization API alone:")[2]
    table = rows.partition("Besides:")[0]
    alone = {operation.tool_name for operation in OPERATIONS if operation.apis == {"v3"}}
    assert set(re.findall(r"`(devin_\w+)`", table)) == alone


def test_modes_and_phases_are_those_of_the_tools() -> None:
    text = " ".join(MIGRATING.read_text().split())
    *modes, last = (f"`{mode}`" for mode in get_args(Mode))
    assert f"{', '.join(modes)} or {last}" in text
    phases = {
        api: set(
            TOOLS[api]["devin_list_sessions"]["inputSchema"]["properties"]["phase"]["items"]["enum"]
        )
        for api in SECTIONS
    }
    assert phases["v3"] - phases["v1"] == {"held", "failed"}
    assert "The phases `held` (a limit, the quota or a payment) and `failed`" in text


def test_settings_on_the_page_exist() -> None:
    text = MIGRATING.read_text()
    names = {setting.env for setting in SETTINGS}
    assert set(re.findall(r"\bDEVIN_[A-Z_]+", text)) <= names
    flags = {flag for setting in SETTINGS for flag in setting.flags}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--write"} <= flags


async def test_idempotency_key_finds_the_session_of_the_other_api(connect: Connect) -> None:
    """With a repository, which is text of the prompt on v1 and a field on v3."""
    task = {"prompt": "p", "repository": "acme/shop-api", "idempotency_key": "issue 12"}
    async with connect(DEVIN_API_KEY=KEY) as v1:
        first = await v1.ok("delegate_task", **task)
    async with connect(DEVIN_API_KEY=V3_KEY) as v3:
        again = await v3.ok("delegate_task", **task)
    assert (first["is_new_session"], again["is_new_session"]) == (True, False)
    assert again["session_id"] == first["session_id"]
    assert f"sessions of the last {IDEMPOTENCY_DAYS} days" in MIGRATING.read_text()
