"""Arguments and choices that one API lacks: hidden from its callers and refused with the reason.

The cases are generated from the declarations.
"""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.keys import DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.capabilities import (
    API_CAPABILITIES,
    CHOICES_REQUIRE,
    READ_ENVIRONMENT,
    READ_FILES,
    REQUIRES,
    WRITE_FILES,
)
from devin_mcp.operations.catalog import Operation
from devin_mcp.server.arguments import NOT_SENT, validate_arguments
from devin_mcp.server.schema import Schema, arguments_model, parameters_schema
from tests.conftest import Connect
from tests.upstream import KEYS, Upstream

ALL = frozenset({READ_FILES, WRITE_FILES, READ_ENVIRONMENT})
OTHER: dict[DevinApi, DevinApi] = {"v1": "v3", "v3": "v1"}
PARAMETERS = [
    (operation, name, capability.name)
    for operation in OPERATIONS
    for name, capability in operation.api_parameters.items()
]
CHOICES = [
    (operation, name, choice, api)
    for operation in OPERATIONS
    for name, schema in parameters_schema(operation.function)["properties"].items()
    for node in (schema, schema.get("items", {}))
    for choice, api in node.get(CHOICES_REQUIRE, {}).items()
]


def example(schema: Schema) -> Any:
    """A valid value, as far as the schema says."""
    kind = schema.get("type")
    if kind == "array":
        return [example(schema["items"])]
    if kind == "object":
        return {"type": "object"}
    if kind == "boolean":
        return True
    if kind in {"integer", "number"}:
        return 1
    return schema.get("enum", ["x"])[0]


def required_arguments(operation: Operation[Any, Any]) -> dict[str, Any]:
    schema = parameters_schema(operation.function)
    return {name: example(schema["properties"][name]) for name in schema.get("required", [])}


def test_both_apis_have_arguments_and_choices_of_their_own() -> None:
    assert {api for *_, api in PARAMETERS} == set(API_CAPABILITIES)
    assert {(name, choice, api) for _, name, choice, api in CHOICES} >= {
        ("phase", "held", "v3"),
        ("phase", "failed", "v3"),
        ("clear", "macro", "v1"),
        ("clear", "structured_output_schema", "v3"),
    }


@pytest.mark.parametrize(
    ("operation", "name", "only"),
    PARAMETERS,
    ids=[f"{operation.operation_id}-{name}" for operation, name, _ in PARAMETERS],
)
async def test_argument_of_the_other_api_is_hidden_and_refused(
    connect: Connect,
    upstream: Upstream,
    operation: Operation[Any, Any],
    name: str,
    only: DevinApi,
) -> None:
    declared = parameters_schema(operation.function)["properties"][name]
    arguments = required_arguments(operation) | {name: example(declared)}
    async with connect(DEVIN_API_KEY=KEYS[OTHER[only]]) as client:
        tools = {tool.name: tool for tool in (await client.sdk.list_tools()).tools}
        text = await client.error(operation.operation_id, **arguments)
    assert name not in tools[operation.tool_name].input_schema["properties"]
    assert text == f"{name} exists on {only} only. {NOT_SENT}"
    assert upstream.requests == []
    async with connect(DEVIN_API_KEY=KEYS[only]) as client:
        tools = {tool.name: tool for tool in (await client.sdk.list_tools()).tools}
    assert name in tools[operation.tool_name].input_schema["properties"]
    assert REQUIRES not in str(tools[operation.tool_name].input_schema)


@pytest.mark.parametrize(
    ("operation", "name", "choice", "only"),
    CHOICES,
    ids=[f"{operation.operation_id}-{name}-{choice}" for operation, name, choice, _ in CHOICES],
)
async def test_choice_of_the_other_api_is_hidden_and_refused(
    connect: Connect,
    upstream: Upstream,
    operation: Operation[Any, Any],
    name: str,
    choice: str,
    only: DevinApi,
) -> None:
    schema = parameters_schema(operation.function)["properties"][name]
    value = [choice] if schema["type"] == "array" else choice
    arguments = required_arguments(operation) | {name: value}
    enums: dict[DevinApi, list[str]] = {}
    for api in OTHER:
        async with connect(DEVIN_API_KEY=KEYS[api]) as client:
            tools = {tool.name: tool for tool in (await client.sdk.list_tools()).tools}
            if api != only:
                text = await client.error(operation.operation_id, **arguments)
        published = tools[operation.tool_name].input_schema["properties"][name]
        enums[api] = published.get("items", published)["enum"]
    assert f"{name}: {choice} exists on {only} only." in text
    assert choice in enums[only]
    assert choice not in enums[OTHER[only]]
    assert upstream.requests == []


@pytest.mark.parametrize("blank", [None, "", " \n"], ids=repr)
@pytest.mark.parametrize(
    ("operation", "name", "only"),
    PARAMETERS,
    ids=[f"{operation.operation_id}-{name}" for operation, name, _ in PARAMETERS],
)
def test_blank_argument_of_the_other_api_counts_as_absent(
    operation: Operation[Any, Any], name: str, only: DevinApi, blank: str | None
) -> None:
    schema, model = parameters_schema(operation.function), arguments_model(operation.function)
    capabilities = ALL | {API_CAPABILITIES[OTHER[only]]}
    required = required_arguments(operation)
    given = validate_arguments(required | {name: blank}, schema, model, capabilities)
    assert given == validate_arguments(required, schema, model, capabilities)


async def test_field_of_a_result_is_published_only_where_it_exists(connect: Connect) -> None:
    fields: dict[DevinApi, dict[str, set[str]]] = {}
    for api, key in KEYS.items():
        async with connect(DEVIN_API_KEY=key) as client:
            fields[api] = {
                tool.name: set((tool.output_schema or {}).get("properties", {}))
                for tool in (await client.sdk.list_tools()).tools
            }
    for tool, name, only in [
        ("devin_upload_attachment", "line", "v1"),
        ("devin_update_knowledge", "enabled", "v3"),
        ("devin_get_playbook", "structured_output_schema", "v3"),
        ("devin_get_playbook", "status", "v1"),
    ]:
        present = {api for api, tools in fields.items() if name in tools[tool]}
        assert present == {only}, f"{tool} {name}"
