"""What counts as absent: null and texts of which nothing is visible, for every parameter."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.errors import Invalid
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.capabilities import (
    API_CAPABILITIES,
    READ_ENVIRONMENT,
    READ_FILES,
    REQUIRES,
    WRITE,
    WRITE_FILES,
    Capability,
)
from devin_mcp.operations.catalog import Operation
from devin_mcp.server.arguments import validate_arguments
from devin_mcp.server.schema import Schema, arguments_model, input_schema
from tests.conftest import Connect
from tests.server.test_api_arguments import required_arguments
from tests.upstream import Upstream


@pytest.mark.usefixtures("api")
async def test_null_counts_as_absent(connect: Connect, upstream: Upstream) -> None:
    async with connect(max_acu=7) as client:
        await client.ok(
            "create_session",
            prompt="p",
            title=None,
            tags=None,
            max_acu_limit=None,
            idempotent=None,
            session_secrets=None,
        )
        assert "prompt" in await client.error("create_session", prompt=None)
    (sent,) = upstream.sent("create_session")
    assert sent.json == {"prompt": "p", "max_acu_limit": 7}


ODD_VALUES: list[Any] = ["", " ", "\n", "\u200b", None, 0, [], {}, "null", True]


TAKEN_OR_REFUSED = {"taken", "refused"}  # by its bounds or pattern


OUTCOMES: dict[tuple[str, str], set[str]] = {
    ("integer", "0"): TAKEN_OR_REFUSED,
    ("boolean", "0"): {"taken"},
    ("boolean", "True"): {"taken"},
    ("array", "[]"): TAKEN_OR_REFUSED,
    ("object", "{}"): {"taken"},
    ("string", "'null'"): TAKEN_OR_REFUSED,
}
"""Type of the parameter and value -> what may happen. Else it is refused, and never taken for
absent."""


@pytest.mark.parametrize("capability", API_CAPABILITIES.values(), ids=API_CAPABILITIES)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.tool_name)
def test_only_null_and_blank_texts_are_absent(
    operation: Operation[Any, Any], capability: Capability
) -> None:
    """Nothing that has a value is overwritten because a host fills in every argument."""
    model = arguments_model(operation.function)
    schema = input_schema(model)
    capabilities = frozenset({READ_FILES, WRITE_FILES, READ_ENVIRONMENT, WRITE, capability})
    required = required_arguments(operation)
    without = validate_arguments(required, schema, model, capabilities)

    def outcome(name: str, value: Any) -> str:
        try:
            given = validate_arguments(required | {name: value}, schema, model, capabilities)
        except Invalid:
            return "refused"
        return "absent" if given[name] == without[name] and given[name] is None else "taken"

    for name, parameter in schema["properties"].items():
        if parameter.get(REQUIRES) in API_CAPABILITIES and (
            API_CAPABILITIES[parameter[REQUIRES]] is not capability
        ):
            continue
        for value in ODD_VALUES:
            if value is None or (isinstance(value, str) and value != "null"):
                given = required | {name: value}
                if name in schema.get("required", []):
                    reason = "is required" if value is None else "must not be empty"
                    with pytest.raises(Invalid, match=f"^{name} {reason}"):
                        validate_arguments(given, schema, model, capabilities)
                    continue
                assert validate_arguments(given, schema, model, capabilities) == without, given
                expected = {"absent", "taken"}
            else:
                expected = OUTCOMES.get((parameter["type"], repr(value)), {"refused"})
            assert outcome(name, value) in expected, (name, value)


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u200b", None], ids=repr)
@pytest.mark.parametrize("capability", API_CAPABILITIES.values(), ids=API_CAPABILITIES)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.tool_name)
def test_blank_optional_argument_counts_as_absent(
    operation: Operation[Any, Any], capability: Capability, blank: str | None
) -> None:
    """Some hosts fill in every argument, those of the other API as well. A required text may not be
    blank.
    """
    model = arguments_model(operation.function)
    schema = input_schema(model)
    capabilities = frozenset({READ_FILES, WRITE_FILES, READ_ENVIRONMENT, WRITE, capability})
    properties = schema["properties"]
    required = {name: _example(properties[name]) for name in schema.get("required", [])}
    blanks = dict.fromkeys(set(properties) - set(required), blank)
    assert validate_arguments(required | blanks, schema, model, capabilities) == validate_arguments(
        required, schema, model, capabilities
    )


def _example(schema: Schema) -> Any:
    if schema["type"] == "array":
        return [_example(schema["items"])]
    return schema.get("enum", ["x"])[0]


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u200b"])
@pytest.mark.parametrize(
    ("tool", "arguments", "blank_argument"),
    [
        ("delegate_task", {}, "prompt"),
        ("create_session", {}, "prompt"),
        ("send_message", {"session_id": "devin-1"}, "message"),
        ("create_knowledge", {"body": "b", "trigger": "t"}, "name"),
        ("create_knowledge", {"name": "n", "trigger": "t"}, "body"),
        ("create_playbook", {"body": "b"}, "title"),
        ("create_playbook", {"title": "t"}, "body"),
        ("create_secret", {"type": "totp", "value": "v"}, "key"),
    ],
)
async def test_blank_required_text_is_refused(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    arguments: dict[str, Any],
    blank_argument: str,
    blank: str,
) -> None:
    async with connect() as client:
        text = await client.error(tool, **arguments, **{blank_argument: blank})
    assert f"{blank_argument} must not be empty" in text
    assert upstream.requests == []


async def test_empty_list_is_not_absent(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        await client.ok("create_session", prompt="p", knowledge_ids=[], tags=[])
    (sent,) = upstream.sent("create_session")
    assert sent.json == {"prompt": "p", "knowledge_ids": [], "tags": []}
