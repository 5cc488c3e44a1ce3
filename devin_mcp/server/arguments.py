"""From what a model wrote to what an operation takes: forgiving about form, strict about names and bounds.

Errors are our own words, names and bounds and never a value: the SDK's text would contain what was given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from devin_mcp.errors import Invalid
from devin_mcp.server.schema import Schema
from devin_mcp.suggest import closest

NOT_SENT = "Nothing was sent. Correct the arguments and call again."

_PLAIN_NAME = re.compile(r"[a-z][a-z_]{0,29}")


def checked(given: Mapping[str, Any], schema: Schema, model: type[BaseModel]) -> dict[str, Any]:
    """Arguments for the operation, or Invalid. An explicit null counts as absent."""
    cleaned = _object(dict(given), schema, "")
    try:
        valid = model.model_validate(cleaned)
    except ValidationError as problem:
        reasons = [
            _in_words(error) for error in problem.errors(include_url=False, include_input=False)[:5]
        ]
        raise Invalid("; ".join(reasons) + ".", NOT_SENT) from None
    return {name: getattr(valid, name) for name in type(valid).model_fields}


def _value(value: Any, schema: Schema, where: str) -> Any:
    kind = schema.get("type")
    if isinstance(value, str) and kind in {"object", "array"}:
        value = _decoded(value)  # some hosts send lists and objects as JSON in a string
    if kind == "object" and isinstance(value, dict) and "properties" in schema:
        return _object(value, schema, where)
    if kind == "array" and isinstance(value, list):
        return [
            _value(item, schema["items"], f"{where}[{place}]") for place, item in enumerate(value)
        ]
    return value


def _object(given: dict[str, Any], schema: Schema, where: str) -> dict[str, Any]:
    properties: dict[str, Schema] = schema["properties"]
    required = schema.get("required", [])
    for name in given:
        if name not in properties:
            raise Invalid(_unknown(name, sorted(properties), where), NOT_SENT)
    return {
        name: _value(value, properties[name], f"{where}.{name}" if where else name)
        for name, value in given.items()
        if value is not None or name in required
    }


def _unknown(name: str, known: list[str], where: str) -> str:
    """A misspelt name is repeated, for it is close to ours; another only when it cannot be a value in the wrong place."""
    meant = closest(name, known)
    inside = f" in {where}" if where else ""
    if meant:
        return f"There is no argument {name}{inside}; did you mean {meant}?"
    called = f" {name}" if _PLAIN_NAME.fullmatch(name) else " of that name"
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    return f"There is no argument{called}{inside}; {takes}."


def _decoded(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


_WORDS = {
    "missing": "is required",
    "string_pattern_mismatch": "has characters that do not belong there: give the plain id as a list tool shows it (of a link, its last part)",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "must not be empty",
    "too_long": "has more than {max_length} items",
    "too_short": "has fewer than {min_length} items",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
_KINDS = {
    "string": "a text",
    "int": "a whole number",
    "bool": "true or false",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
}
"""pydantic's error type, or its first word -> what is wrong, or what is wanted instead."""

LONG_TEXT = 10_000


def _in_words(error: ErrorDetails) -> str:
    where = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"]
    ).lstrip(".")
    bounds = error.get("ctx", {})
    wanted = _KINDS.get(error["type"].split("_")[0], "of another kind")
    text = _WORDS.get(error["type"], f"must be {wanted}").format_map(bounds)
    as_file = error["type"] == "string_too_long" and bounds["max_length"] >= LONG_TEXT
    return f"{where} {text}; upload the rest as a file" if as_file else f"{where} {text}"
