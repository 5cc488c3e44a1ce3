"""A value that fits a JSON Schema of the kind people write: what a simulated session fills a structured output with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEPEST = 8
"""Levels after which what is optional is left out, so that a schema that contains itself comes to an end."""


def example_of(schema: Any) -> Any:
    return _value(schema, schema, 0)


def _value(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return "simulated"
    schema = _whole(schema, root)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    kind = (
        kind[0] if isinstance(kind, list) else kind or ("array" if "items" in schema else "object")
    )
    match kind:
        case "object":
            return _object(schema, root, depth)
        case "array":
            return _array(schema, root, depth)
        case "string":
            return _text(schema)
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return True
    return None


def _whole(schema: Mapping[str, Any], root: Any) -> dict[str, Any]:
    """With what it refers to, all that `allOf` adds, and the first of its alternatives."""
    seen = 0
    whole = dict(schema)
    while seen < DEEPEST and (
        more := [name for name in ("$ref", "allOf", "anyOf", "oneOf") if whole.get(name)]
    ):
        seen += 1
        part = whole.pop(more[0])
        for one in (
            part if more[0] == "allOf" else [_at(root, part) if more[0] == "$ref" else part[0]]
        ):
            if isinstance(one, Mapping):
                properties = {**one.get("properties", {}), **whole.get("properties", {})}
                required = [*one.get("required", []), *whole.get("required", [])]
                whole = {**one, **whole}
                whole |= ({"properties": properties} if properties else {}) | (
                    {"required": required} if required else {}
                )
    return whole


def _at(root: Any, reference: str) -> Any:
    found = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found


def _object(schema: Mapping[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    wanted = list(dict.fromkeys([*required, *properties])) if depth < DEEPEST else required
    return {
        name: _value(properties.get(name, {"type": "string"}), root, depth + 1) for name in wanted
    }


def _array(schema: Mapping[str, Any], root: Any, depth: int) -> list[Any]:
    most = schema.get("maxItems", 1 << 20)
    count = min(most, max(1 if depth < DEEPEST else 0, schema.get("minItems", 0)))
    items = schema.get("items", {"type": "string"})
    if isinstance(items, list):
        return [_value(one, root, depth + 1) for one in items[:most]]
    made = [_value(items, root, depth + 1) for _ in range(count)]
    if schema.get("uniqueItems"):
        choices = items.get("enum") if isinstance(items, Mapping) else None
        made = [choices[place] if choices else _other(one, place) for place, one in enumerate(made)]
    return made


def _other(value: Any, place: int) -> Any:
    """Another value of the same kind."""
    if isinstance(value, str):
        return f"{value}{place}" if place else value
    return (
        value + place if isinstance(value, int | float) and not isinstance(value, bool) else value
    )


_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "devin@sandbox.invalid",
    "uri": "https://sandbox.invalid",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


def _text(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(schema.get("format", ""), "simulated")
    return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength", 1000)]


def _number(schema: Mapping[str, Any], *, whole: bool) -> Any:
    step = 1 if whole else 0.5
    low = schema.get(
        "minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None
    )
    high = schema.get(
        "maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None
    )
    value = low if low is not None else 1 if high is None or high >= 1 else high
    multiple = schema.get("multipleOf")
    if multiple:
        value = multiple * -(-value // multiple)
    return int(value) if whole else value
