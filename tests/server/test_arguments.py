"""Arguments as models write them, and errors that they can act on."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.errors import Invalid
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.capabilities import (
    READ_ENVIRONMENT,
    READ_FILES,
    V1,
    V3,
    WRITE_FILES,
)
from devin_mcp.operations.catalog import Operation
from devin_mcp.server.arguments import validate_arguments
from devin_mcp.server.schema import arguments_model, parameters_schema
from tests.conftest import Connect
from tests.server.test_api_arguments import required_arguments
from tests.upstream import Upstream


async def test_lists_and_objects_may_be_json_strings(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        await client.ok(
            "create_session",
            prompt='{"looks": "like json"}',
            tags='["a", "b"]',
            max_acu_limit="5",
            unlisted="true",
            session_secrets=['{"key": "K", "value": "[1]"}'],
            structured_output_schema='{"type": "object"}',
        )
    assert upstream.requests[0].json == {
        "prompt": '{"looks": "like json"}',
        "tags": ["a", "b"],
        "max_acu_limit": 5,
        "unlisted": True,
        "session_secrets": [{"key": "K", "value": "[1]", "sensitive": True}],
        "structured_output_schema": {"type": "object"},
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "prompt is required"),
        ({"prompt": ""}, "prompt must not be empty"),
        ({"prompt": "x" * 30_001}, "upload the rest as a file"),
        ({"prompt": ["x"]}, "prompt must be a text"),
        ({"prompt": "p", "max_acu": 5}, "did you mean max_acu_limit?"),
        (
            {"prompt": "p", "branch": "main"},
            "There is no argument branch; it takes idempotent, knowledge_ids",
        ),
        ({"prompt": "p", "Q7!": 1}, "There is no argument of that name"),
        ({"prompt": "p", "max_acu_limit": 0}, "max_acu_limit must be above 0"),
        ({"prompt": "p", "max_acu_limit": "many"}, "max_acu_limit must be a whole number"),
        ({"prompt": "p", "tags": "not json"}, "tags must be a list"),
        ({"prompt": "p", "tags": ["x"] * 51}, "tags has more than 50 items"),
        ({"prompt": "p", "tags": [""]}, "tags[0] must not be empty"),
        (
            {"prompt": "p", "playbook_id": "../x"},
            "playbook_id has characters that do not belong there",
        ),
        ({"prompt": "p", "knowledge_ids": ["a/b"]}, "knowledge_ids[0] has characters"),
        (
            {"prompt": "p", "session_secrets": [{"key": "K", "valu": "v"}]},
            "valu in session_secrets[0]; did you mean value?",
        ),
        (
            {"prompt": "p", "session_secrets": [{"value": "v"}]},
            "session_secrets[0].key is required",
        ),
        ({"prompt": "p", "session_secrets": "x"}, "session_secrets must be a list"),
    ],
)
async def test_error_names_the_argument_and_its_bound_but_not_the_value(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], says: str
) -> None:
    async with connect() as client:
        text = await client.error("create_session", **arguments)
    assert says in text
    assert "Nothing was sent" in text
    assert "pydantic" not in text
    assert upstream.requests == []


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    "value",
    [
        "../secrets/x",
        "a/b",
        "a%2Fb",
        "..",
        ".",
        "",
        "a b",
        "ä",
        "x" * 129,
        "a?b",
        "a#b",
        "a\\b",
        "https://x/y",
        "a..b",
    ],
)
@pytest.mark.parametrize(
    ("tool", "argument"),
    [
        ("get_session", "session_id"),
        ("terminate_session", "session_id"),
        ("delete_secret", "secret_id"),
        ("delete_knowledge", "note_id"),
        ("delete_playbook", "playbook_id"),
    ],
)
async def test_id_must_be_one_path_segment(
    connect: Connect, upstream: Upstream, value: str, tool: str, argument: str
) -> None:
    async with connect() as client:
        text = await client.error(tool, **{argument: value})
    assert argument in text
    assert upstream.requests == []


@pytest.mark.parametrize("name", ["../secrets/x", "a/b", "a%2Fb", "..", "a?b", "ä"])
async def test_name_of_a_playbook_reaches_no_path(
    connect: Connect, upstream: Upstream, name: str
) -> None:
    async with connect() as client:
        text = await client.error("get_playbook", playbook_id=name)
    assert "has that id or name" in text
    assert upstream.requests == upstream.sent("list_playbooks") != []


INTEGERS = [
    (operation, name)
    for operation in OPERATIONS
    for name, schema in parameters_schema(operation.function)["properties"].items()
    if schema.get("type") == "integer"
]


@pytest.mark.parametrize("value", [True, False, float("nan"), float("inf"), 1.5, "nan", "true"])
@pytest.mark.parametrize(
    ("operation", "name"),
    INTEGERS,
    ids=[f"{operation.operation_id}-{name}" for operation, name in INTEGERS],
)
def test_whole_number_is_finite_and_no_truth_value(
    operation: Operation[Any, Any], name: str, value: object
) -> None:
    arguments = required_arguments(operation) | {name: value}
    function = operation.function
    capabilities = frozenset({READ_FILES, WRITE_FILES, READ_ENVIRONMENT, V1, V3})
    with pytest.raises(Invalid) as refused:
        validate_arguments(
            arguments, parameters_schema(function), arguments_model(function), capabilities
        )
    assert refused.value.message.rstrip(".") == f"{name} must be a whole number"


async def test_truth_value_is_no_spending_cap(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        text = await client.error("create_session", prompt="p", max_acu_limit=True)
    assert text.startswith("max_acu_limit must be a whole number. Nothing was sent.")
    assert upstream.requests == []
