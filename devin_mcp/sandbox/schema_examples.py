"""Generates valid values for JSON Schemas: the structured output of simulated sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 8
"""Levels below which optional properties and items are left out, so that a recursive schema ends.
"""


def example_of(schema: Any) -> Any:
    """A valid value for a schema of common form: `pattern`, `not` and `if` are ignored."""
    return _value(schema, schema, 0)


def _value(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return "simulated"
    schema = _resolve(schema, root)
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if schema.get("enum"):
        return schema["enum"][0]
    match _type_of(schema):
        case "object":
            return _object(schema, root, depth)
        case "array":
            return _array(schema, root, depth)
        case "string":
            return _string(schema)
        case "integer":
            return _number(schema, is_integer=True)
        case "number":
            return _number(schema, is_integer=False)
        case "boolean":
            return True
    return None


def _type_of(schema: Mapping[str, Any]) -> Any:
    types = schema.get("type")
    if isinstance(types, list):
        return types[0]
    return types or ("array" if "items" in schema else "object")


def _resolve(schema: Mapping[str, Any], root: Any) -> dict[str, Any]:
    """The schema with its `$ref`, all of `allOf`, and the first of `anyOf` and `oneOf` merged into
    it.
    """
    resolved = dict(schema)
    for _ in range(MAX_DEPTH):
        keyword = next(
            (name for name in ("$ref", "allOf", "anyOf", "oneOf") if resolved.get(name)), None
        )
        if keyword is None:
            break
        value = resolved.pop(keyword)
        if keyword == "$ref":
            subschemas = [_lookup(root, value)]
        else:
            subschemas = value if keyword == "allOf" else value[:1]
        for subschema in subschemas:
            if isinstance(subschema, Mapping):
                resolved = _merge(resolved, subschema)
    return resolved


def _merge(schema: Mapping[str, Any], subschema: Mapping[str, Any]) -> dict[str, Any]:
    """Both schemas in one. `schema` wins, except that properties and required names are united."""
    merged = {**subschema, **schema}
    properties = {**subschema.get("properties", {}), **schema.get("properties", {})}
    required = [*subschema.get("required", []), *schema.get("required", [])]
    if properties:
        merged["properties"] = properties
    if required:
        merged["required"] = required
    return merged


def _lookup(root: Any, reference: str) -> Any:
    """The subschema at a JSON pointer such as `#/definitions/a`; an empty schema where there is
    none.
    """
    subschema = root
    for token in reference.removeprefix("#").strip("/").split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        subschema = subschema.get(name, {}) if isinstance(subschema, Mapping) else {}
    return subschema


def _object(schema: Mapping[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    names = list(dict.fromkeys([*required, *properties])) if depth < MAX_DEPTH else required
    return {
        name: _value(properties.get(name, {"type": "string"}), root, depth + 1) for name in names
    }


def _array(schema: Mapping[str, Any], root: Any, depth: int) -> list[Any]:
    max_items = schema.get("maxItems", 1 << 20)
    count = min(max_items, max(1 if depth < MAX_DEPTH else 0, schema.get("minItems", 0)))
    items = schema.get("items", {"type": "string"})
    if isinstance(items, list):
        return [_value(item, root, depth + 1) for item in items[:max_items]]
    values = [_value(items, root, depth + 1) for _ in range(count)]
    if schema.get("uniqueItems"):
        choices = items.get("enum") if isinstance(items, Mapping) else None
        if choices:
            return [choices[index] for index in range(count)]
        return [_distinct(value, index) for index, value in enumerate(values)]
    return values


def _distinct(value: Any, index: int) -> Any:
    """A variant of a string or number that differs for each index."""
    if isinstance(value, str):
        return f"{value}{index}" if index else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value + index
    return value


_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "devin@sandbox.invalid",
    "uri": "https://sandbox.invalid",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


def _string(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(schema.get("format", ""), "simulated")
    return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength", 1000)]


def _number(schema: Mapping[str, Any], *, is_integer: bool) -> Any:
    step = 1 if is_integer else 0.5
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    value = 1 if high is None else min(1, high)
    if low is not None:
        value = low
    multiple = schema.get("multipleOf")
    if multiple:
        value = multiple * -(-value // multiple)
    return int(value) if is_integer else value
