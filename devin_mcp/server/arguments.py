"""From what a model wrote to what an operation takes: forgiving about form, strict about names and bounds.

Errors are our own words, names and bounds and never a value: the SDK's text would contain what was given.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from devin_mcp.errors import Invalid
from devin_mcp.server.schema import Schema

_PLAIN_NAME = re.compile(r"[a-z][a-z_]{0,29}")


def checked(given: Mapping[str, Any], schema: Schema, model: type[BaseModel]) -> dict[str, Any]:
    """Arguments for the operation, or Invalid. An explicit null counts as absent."""
    cleaned = _object(dict(given), schema, "")
    try:
        valid = model.model_validate(cleaned)
    except ValidationError as problem:
        reasons = [_in_words(error) for error in problem.errors(include_url=False, include_input=False)[:5]]
        raise Invalid("; ".join(reasons) + ".") from None
    return {name: getattr(valid, name) for name in type(valid).model_fields}


def _value(value: Any, schema: Schema, where: str) -> Any:
    kind = schema.get("type")
    if isinstance(value, str) and kind in {"object", "array"}:
        value = _decoded(value)  # some hosts send lists and objects as JSON in a string
    if kind == "object" and isinstance(value, dict) and "properties" in schema:
        return _object(value, schema, where)
    if kind == "array" and isinstance(value, list):
        return [_value(item, schema["items"], f"{where}[{place}]") for place, item in enumerate(value)]
    return value


def _object(given: dict[str, Any], schema: Schema, where: str) -> dict[str, Any]:
    properties: dict[str, Schema] = schema["properties"]
    required = schema.get("required", [])
    for name in given:
        if name not in properties:
            raise Invalid(_unknown(name, sorted(properties), where))
    return {
        name: _value(value, properties[name], f"{where}.{name}" if where else name)
        for name, value in given.items()
        if value is not None or name in required
    }


def _unknown(name: str, known: list[str], where: str) -> str:
    """A misspelt name is repeated, for it is close to ours; another only when it cannot be a value in the wrong place."""
    close = difflib.get_close_matches(name, known, n=1)
    inside = f" in {where}" if where else ""
    if close:
        return f"There is no argument {name}{inside}; did you mean {close[0]}?"
    called = f" {name}" if _PLAIN_NAME.fullmatch(name) else " of that name"
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    return f"There is no argument{called}{inside}; {takes}."


def _decoded(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def _in_words(error: ErrorDetails) -> str:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"]).lstrip(".")
    bounds = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{where} is required"
        case "string_pattern_mismatch":
            return f"{where} has characters that do not belong there: give the plain id, without slashes, spaces or a web address"
        case "string_too_long" if bounds["max_length"] >= 10_000:
            return f"{where} is longer than {bounds['max_length']} characters; upload the rest as a file"
        case "string_too_long":
            return f"{where} is longer than {bounds['max_length']} characters"
        case "string_too_short":
            return f"{where} must not be empty"
        case "too_long":
            return f"{where} has more than {bounds['max_length']} items"
        case "too_short":
            return f"{where} has fewer than {bounds['min_length']} items"
        case "literal_error":
            return f"{where} must be {bounds['expected']}"
        case _:
            return f"{where} {error['msg'].replace('Input should', 'must')}".replace("must be a valid", "must be a")
