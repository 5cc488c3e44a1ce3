"""Generated examples are valid for their schemas."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from devin_mcp.sandbox.schema_examples import example_of

SCHEMAS: dict[str, dict[str, Any]] = {
    "object": {
        "type": "object",
        "properties": {
            "a": {"type": "string", "minLength": 20},
            "b": {"enum": ["x", "y"]},
            "c": {"const": 3},
        },
    },
    "array": {"type": "array", "items": {"type": "number", "minimum": 5}, "minItems": 2},
    "anyOf": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    "type-list": {"type": ["null", "string"]},
    "empty": {},
    "maxLength": {"type": "string", "maxLength": 3},
    "ref": {
        "$ref": "#/definitions/a",
        "definitions": {
            "a": {
                "type": "object",
                "required": ["b"],
                "properties": {"b": {"$ref": "#/definitions/c"}},
            },
            "c": {"type": "integer", "maximum": -4},
        },
    },
    "allOf": {
        "allOf": [
            {"properties": {"a": {"type": "integer", "exclusiveMinimum": 5}}, "required": ["a"]},
            {"required": ["b"]},
        ]
    },
    "uniqueItems": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 3,
        "uniqueItems": True,
    },
    "maxItems": {"type": "array", "maxItems": 0},
    "required": {"type": "object", "required": ["x"]},
    "exclusiveMaximum": {"type": "number", "exclusiveMaximum": 0},
    "multipleOf": {"type": "integer", "multipleOf": 7, "minimum": 3},
    "recursive": {
        "$ref": "#/definitions/tree",
        "definitions": {
            "tree": {"type": "object", "properties": {"next": {"$ref": "#/definitions/tree"}}}
        },
    },
    "format": {"type": "string", "format": "date-time"},
    "unique-enum": {
        "type": "array",
        "items": {"enum": ["x", "y"]},
        "minItems": 2,
        "uniqueItems": True,
    },
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_example_is_valid_for_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(example_of(schema), schema)
