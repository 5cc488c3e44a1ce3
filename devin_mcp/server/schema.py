"""Schemas that real clients survive: plain objects, inline enums, one type per property, no references, no unions.

Each rule broke somebody's client in public (design: laws). The same published schema then decides which arguments
are known, so what is hidden from it is unknown at call time too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from devin_mcp.api.client import ApiCall
from devin_mcp.operations.catalog import Capability
from devin_mcp.operations.context import House
from devin_mcp.operations.waiting.pollers import Pollers

Schema = dict[str, Any]

_NOISE = {
    "title",
    "default",
    "additionalProperties",
    "format",
    "contentMediaType",
    "x-needs",
    "pattern",
    "minLength",
    "maxLength",
}
"""Not published: pydantic's titles, defaults that the description or absence already tells, what gateways reject, and the
shapes of texts, which hold at call time all the same and tell a model nothing that its errors would not.
"""


@lru_cache(maxsize=64)
def type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(function, include_extras=True)


def injected_parameters(function: Callable[..., Any]) -> dict[str, type]:
    """The parameters, beside the handle, that this server fills in: name -> what of it."""
    return {name: hint for name, hint in type_hints(function).items() if hint in (House, Pollers)}


@lru_cache(maxsize=128)
def arguments_model(function: Callable[..., Any]) -> type[BaseModel]:
    """The function's parameters as a model, without those that this server brings: the handle, the house, a card's subject.

    What needs a power that is not there is left out of the schema alone, which makes it unknown.
    """
    hints = type_hints(function)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints[name]
        if hint in (ApiCall, House, Pollers) or (
            isinstance(hint, type) and issubclass(hint, BaseModel)
        ):
            continue
        fields[name] = (
            hint,
            ... if parameter.default is inspect.Parameter.empty else parameter.default,
        )
    config = ConfigDict(hide_input_in_errors=True, protected_namespaces=())
    return create_model(f"{function.__name__}_arguments", __config__=config, **fields)


@lru_cache(maxsize=128)
def schema_of(function: Callable[..., Any]) -> Schema:
    """Of what a resource or a prompt takes."""
    return input_schema(arguments_model(function), frozenset())


def input_schema(model: type[BaseModel], powers: frozenset[Capability]) -> Schema:
    names = {power.name for power in powers}
    return _tidy(model.model_json_schema(mode="validation"), names)


def output_schema(model: type[BaseModel]) -> Schema:
    """Of what is really sent: nulls are left out, so a nullable field is an optional one.

    Only the names and types a reader could not guess are described further.
    """
    return _tidy(model.model_json_schema(mode="serialization"), set())


def _tidy(schema: Schema, powers: set[str]) -> Schema:
    definitions = schema.get("$defs", {})

    def walk(node: Schema) -> Schema:
        while "$ref" in node or "anyOf" in node:
            node = _unfold(node, definitions)
        tidy = {name: value for name, value in node.items() if name not in _NOISE}
        if "const" in tidy:
            tidy["enum"] = [tidy.pop("const")]
            tidy.setdefault("type", "string")
        if "properties" in node:
            tidy["properties"] = {
                name: walk(part)
                for name, part in node["properties"].items()
                if _shown(part, definitions, powers)
            }
            tidy["required"] = [
                name for name in node.get("required", []) if name in tidy["properties"]
            ]
            if not tidy["required"]:
                del tidy["required"]
        if "items" in node:
            tidy["items"] = walk(node["items"])
        return tidy

    root = walk(
        {name: value for name, value in schema.items() if name not in {"$defs", "description"}}
    )
    root.setdefault("properties", {})
    return root


def _unfold(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """One step: a reference becomes what it names, a union with null becomes its other branch. Own words win."""
    own = {name: value for name, value in node.items() if name not in {"$ref", "anyOf", "title"}}
    if "$ref" in node:
        named = definitions[node["$ref"].removeprefix("#/$defs/")]
        # a model's docstring speaks to the reader of the code
        return {**{name: value for name, value in named.items() if name != "description"}, **own}
    branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
    if len(branches) != 1:
        raise TypeError("a parameter or field must have one type, or one type and null")
    return {**branches[0], **own}


def _shown(node: Schema, definitions: dict[str, Schema], powers: set[str]) -> bool:
    while "$ref" in node or "anyOf" in node:
        node = _unfold(node, definitions)
    return node.get("x-needs") is None or node["x-needs"] in powers
