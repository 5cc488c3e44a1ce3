"""JSON Schemas that every client accepts: plain objects, inline enums, one type per property, no
references.

Each rule avoids a published bug of a client (design.md §5). A declared schema has all parameters
and marks those that require a capability; the published schema has those of one caller.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from devin_mcp.operations.capabilities import CHOICES_REQUIRE, REQUIRES, Capability
from devin_mcp.operations.results import Truncatable

Schema = dict[str, Any]

_UNPUBLISHED = {
    "title",
    "default",
    "additionalProperties",
    "format",
    "contentMediaType",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "minItems",
    "maxItems",
}
"""Keywords that are removed: titles, keywords that gateways reject, and bounds, which are enforced
at call time and explained by the errors. Hosts strip those of numbers and lists (hosts.md §2), so
the descriptions of arguments say them in words, and the defaults.
"""

MARKS = frozenset({REQUIRES, CHOICES_REQUIRE})
"""Keywords of declared schemas that are not published."""


@lru_cache(maxsize=64)
def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(function, include_extras=True)


@lru_cache(maxsize=128)
def arguments_model(
    function: Callable[..., Any], record_parameter: str | None = None
) -> type[BaseModel]:
    """The function's parameters as a model, without the context and a prompt variant's record.

    The model has all parameters; those that require a missing capability are refused by
    arguments.py.
    """
    hints = _type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    fields: dict[str, Any] = {
        parameter.name: (
            hints[parameter.name],
            ... if parameter.default is inspect.Parameter.empty else parameter.default,
        )
        for parameter in parameters
        if parameter.name != record_parameter
    }
    config = ConfigDict(hide_input_in_errors=True, protected_namespaces=(), defer_build=True)
    return create_model(f"{function.__name__}_arguments", __config__=config, **fields)


def result_model(function: Callable[..., Any]) -> type[BaseModel]:
    """The model that the function returns, directly or as Truncatable."""
    hint = _type_hints(function)["return"]
    model: type[BaseModel] = get_args(hint)[0] if get_origin(hint) is Truncatable else hint
    return model


@lru_cache(maxsize=128)
def parameters_schema(function: Callable[..., Any], record_parameter: str | None = None) -> Schema:
    """The declared parameters of a tool, a resource or a prompt."""
    return input_schema(arguments_model(function, record_parameter))


def input_schema(model: type[BaseModel]) -> Schema:
    """The declared schema of arguments."""
    schema = model.model_json_schema(mode="validation")
    return _simplify(schema, describe=_with_bounds)


def declared_output_schema(model: type[BaseModel]) -> Schema:
    """The schema of a result as it is sent: without nulls, so a nullable field is optional."""
    return _simplify(model.model_json_schema(mode="serialization", by_alias=False))


def publish(schema: Schema, capabilities: frozenset[Capability]) -> Schema:
    """A declared schema for a caller with these capabilities."""
    names = {capability.name for capability in capabilities}
    published = {name: value for name, value in schema.items() if name not in MARKS}
    if "properties" in schema:
        properties = {
            name: publish(part, capabilities)
            for name, part in schema["properties"].items()
            if part.get(REQUIRES) in {None, *names}
        }
        published["properties"] = properties
        published["required"] = [name for name in schema.get("required", []) if name in properties]
        if not published["required"]:
            del published["required"]
    if "items" in schema:
        published["items"] = publish(schema["items"], capabilities)
    missing = hidden_choices(schema, capabilities)
    for node in (published, published.get("items", {})):
        if missing and "enum" in node:
            node["enum"] = [choice for choice in node["enum"] if choice not in missing]
    return published


def hidden_choices(schema: Schema, capabilities: frozenset[Capability]) -> dict[str, str]:
    """Choices of a parameter that a caller with these capabilities lacks -> what they require."""
    names = {capability.name for capability in capabilities}
    required: dict[str, str] = schema.get(CHOICES_REQUIRE, {})
    return {choice: name for choice, name in required.items() if name not in names}


def _with_bounds(node: Schema) -> str:
    """The description of an argument, with its bounds and its default."""
    low, high = (node.get(name) for name in ("minimum", "maximum"))
    if node.get("type") == "array":
        low, high = None, node.get("maxItems")
    if low is not None and high is not None:
        bounds = f"{low} to {high}"
    elif high is not None:
        bounds = f"at most {high}"
    else:
        bounds = f"above {node['exclusiveMinimum']}" if "exclusiveMinimum" in node else ""
    default = node.get("default")
    text = default if isinstance(default, str) else json.dumps(default)
    is_told = default not in (None, "", 0, False)
    words = ", ".join(part for part in (bounds, f"default {text}" if is_told else "") if part)
    description = node.get("description", "")
    return f"{description} ({words})" if words else description


def _simplify(schema: Schema, describe: Callable[[Schema], str] | None = None) -> Schema:
    definitions = schema.get("$defs", {})

    def simplify(node: Schema) -> Schema:
        node = _resolve(node, definitions)
        plain = {name: value for name, value in node.items() if name not in _UNPUBLISHED}
        if describe is not None and (description := describe(node)):
            plain["description"] = description
        if "const" in plain:
            plain["enum"] = [plain.pop("const")]
            plain.setdefault("type", "string")
        if "properties" in node:
            plain["properties"] = {
                name: simplify(part) for name, part in node["properties"].items()
            }
        if "items" in node:
            plain["items"] = simplify(node["items"])
        return plain

    hidden = {"$defs", "description"}
    root = simplify({name: value for name, value in schema.items() if name not in hidden})
    root.setdefault("properties", {})
    return root


def _resolve(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Replace a reference by its target, and a union with null by its other branch."""
    while "$ref" in node or "anyOf" in node:
        own = {
            name: value for name, value in node.items() if name not in {"$ref", "anyOf", "title"}
        }
        if "$ref" in node:
            target = definitions[node["$ref"].removeprefix("#/$defs/")]
            # A model's docstring is for the reader of the code.
            node = {name: value for name, value in target.items() if name != "description"} | own
            continue
        branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
        if len(branches) != 1:
            raise TypeError("a parameter or field must have one type, or one type and null")
        node = branches[0] | own
    return node
