"""Validates arguments: lenient about their form, strict about names and bounds.

Errors contain names and bounds and never a value: the SDK's own texts would repeat what was passed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from devin_mcp.api.json_scan import JsonScanner, TooManyValues
from devin_mcp.errors import Invalid
from devin_mcp.operations.capabilities import API_CAPABILITIES, REQUIRES, Capability
from devin_mcp.operations.parameters import OWN_TAG_PREFIX, is_blank
from devin_mcp.server.schema import Schema, hidden_choices
from devin_mcp.suggest import closest

HOST_ARGUMENTS = {"wait_for_previous": "Gemini CLI 0.61.0"}
"""Argument that a host adds to every tool and sends on -> the host. It is dropped."""
NOT_SENT = "Nothing was sent. Correct the arguments and call again."
MAX_REASONS = 5
MAX_DECODED_VALUES = 10_000
"""Of a list or object that was sent as JSON in a string."""
LONG_TEXT_CHARS = 10_000
"""From this bound on, the error advises to upload the rest as a file."""

_PLAIN_NAME = re.compile(r"[a-z][a-z_]{0,29}")


def validate_arguments(
    arguments: Mapping[str, Any],
    schema: Schema,
    model: type[BaseModel],
    capabilities: frozenset[Capability] = frozenset(),
) -> dict[str, Any]:
    """Arguments for the function. `schema` is the declared one, `capabilities` are the caller's.

    Raises Invalid.
    """
    own = {name: value for name, value in arguments.items() if name not in HOST_ARGUMENTS}
    decoded = _Decoder(capabilities).decode_object(own, schema, "")
    try:
        validated = model.model_validate(decoded)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[:MAX_REASONS]
        reasons = "; ".join(_argument_error(detail) for detail in details)
        raise Invalid(f"{reasons}.", NOT_SENT) from None
    return {name: getattr(validated, name) for name in type(validated).model_fields}


@dataclass(frozen=True)
class _Decoder:
    """Brings arguments into the form of the schema, for a caller with these capabilities."""

    capabilities: frozenset[Capability]

    def decode_object(self, value: dict[str, Any], schema: Schema, path: str) -> dict[str, Any]:
        """Drops properties that are null, and optional ones that are blank: some hosts fill in all.

        Raises Invalid for an unknown property, for one that the caller's API lacks, and for a
        required one that is blank.
        """
        properties: dict[str, Schema] = schema["properties"]
        present = {name: item for name, item in value.items() if not _is_blank(item)}
        for name in value:
            if not self._exists(properties.get(name)):
                self._refuse(name, properties, path, is_blank=name not in present)
        for name in schema.get("required", []):
            if name not in present and value.get(name) is not None:
                raise Invalid(f"{_join(path, name)} must not be empty.", NOT_SENT)
        return {
            name: self._decode_value(item, properties[name], _join(path, name))
            for name, item in present.items()
        }

    def _decode_value(self, value: Any, schema: Schema, path: str) -> Any:
        kind = schema.get("type")
        if isinstance(value, str) and kind in {"object", "array"}:
            value = _decode_json(
                value, path
            )  # some hosts send lists and objects as JSON in a string
        hidden = hidden_choices(schema, self.capabilities)
        for choice in value if isinstance(value, list) else [value]:
            if isinstance(choice, str) and choice in hidden:
                raise Invalid(f"{path}: {_exists_only(choice, hidden[choice])}", NOT_SENT)
        if hidden:
            _check_choices(value, schema, hidden, path)
        if kind == "integer" and isinstance(value, bool):  # pydantic would take true for 1
            raise Invalid(f"{path} must be a whole number.", NOT_SENT)
        if kind == "string" and not isinstance(value, str):  # and a number for a date
            raise Invalid(f"{path} must be a text.", NOT_SENT)
        if kind == "object" and isinstance(value, dict) and "properties" in schema:
            return self.decode_object(value, schema, path)
        if kind == "array" and isinstance(value, list):
            return [
                self._decode_value(item, schema["items"], f"{path}[{index}]")
                for index, item in enumerate(value)
            ]
        return value

    def _exists(self, schema: Schema | None) -> bool:
        names = {capability.name for capability in self.capabilities}
        return schema is not None and schema.get(REQUIRES) in {None, *names}

    def _refuse(
        self, name: str, properties: dict[str, Schema], path: str, *, is_blank: bool
    ) -> None:
        """Raises Invalid. What the other API has may be blank, as any absent argument."""
        required = properties.get(name, {}).get(REQUIRES)
        if required in API_CAPABILITIES:
            if is_blank:
                return
            raise Invalid(_exists_only(_join(path, name), required), NOT_SENT)
        names = sorted(other for other, schema in properties.items() if self._exists(schema))
        raise Invalid(_unknown_argument(name, names, path), NOT_SENT)


def _check_choices(value: Any, schema: Schema, hidden: Mapping[str, str], path: str) -> None:
    """Raises Invalid for an unknown choice; the model's own error would name hidden ones."""
    choices = [name for name in schema.get("items", schema).get("enum", []) if name not in hidden]
    for index, choice in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(choice, str) and choice not in choices:
            place = f"{path}[{index}]" if isinstance(value, list) else path
            expected = ", ".join(repr(name) for name in choices[:-1]) + f" or {choices[-1]!r}"
            raise Invalid(f"{place} must be {expected.removeprefix(' or ')}.", NOT_SENT)


def _exists_only(name: str, api: str) -> str:
    return f"{name} exists on {api} only."


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_blank(value: Any) -> bool:
    """An empty list is not blank: it says `none of them`."""
    return value is None or (isinstance(value, str) and is_blank(value))


def _unknown_argument(name: str, argument_names: list[str], path: str) -> str:
    """A misspelt name is repeated; any other name only if it cannot be a value in a wrong place."""
    suggestion = closest(name, argument_names)
    inside = f" in {path}" if path else ""
    if suggestion:
        return f"There is no argument {name}{inside}; did you mean {suggestion}?"
    quoted_name = f" {name}" if _PLAIN_NAME.fullmatch(name) else " of that name"
    takes = f"it takes {', '.join(argument_names)}" if argument_names else "it takes none"
    return f"There is no argument{quoted_name}{inside}; {takes}."


def _decode_json(text: str, path: str) -> Any:
    """The list or object that a text holds, else the text. Raises Invalid if it is too large."""
    try:
        JsonScanner(MAX_DECODED_VALUES).feed(text.encode(errors="replace"))
    except TooManyValues:
        raise Invalid(f"{path} has more than {MAX_DECODED_VALUES} values.", NOT_SENT) from None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


_REASONS = {
    "missing": "is required",
    "string_pattern_mismatch": "has characters that do not belong there: give the plain id as a "
    "list tool shows it (of a link, its last part)",
    "repository": "must be owner/name, or the address of the repository itself",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "must not be empty",
    "own_tag": f"begins with {OWN_TAG_PREFIX}: such tags are this server's own; leave it out; "
    "a session keeps the one it has",
    "too_long": "has more than {max_length} items",
    "too_short": "must not be empty",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""pydantic's error type -> what is wrong."""
_EXPECTED_TYPES = {
    "string": "a text",
    "int": "a whole number",
    "finite": "a whole number",
    "bool": "true or false",
    "datetime": "a time such as 2026-11-30T09:00:00Z",
    "date": "a date such as 2026-11-30",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
}
"""First word of pydantic's error type -> what is expected."""


def _argument_error(error: ErrorDetails) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    path = "".join(steps).lstrip(".")
    bounds = error.get("ctx", {})
    expected = _EXPECTED_TYPES.get(error["type"].split("_")[0], "of another kind")
    reason = _REASONS.get(error["type"], f"must be {expected}").format_map(bounds)
    if error["type"] == "string_too_long" and bounds["max_length"] >= LONG_TEXT_CHARS:
        reason += "; upload the rest as a file"
    return f"{path} {reason}"
