"""`structured_output_schema`, checked before it costs anything: draft 7, at most 64 KB, self-contained (v1.md §3.1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from devin_mcp.errors import Invalid

LARGEST = 64 * 1024

OutputSchema = dict[str, Any]


def validate_output_schema(schema: OutputSchema | None) -> OutputSchema | None:
    """The schema itself, or Invalid with what is wrong with it."""
    if schema is None:
        return None
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):  # NaN, half an emoji, or no end of levels
        raise Invalid(
            "structured_output_schema holds something that cannot be written as JSON."
        ) from None
    if size > LARGEST:
        raise Invalid(f"structured_output_schema has {size} bytes; Devin takes at most {LARGEST}.")
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise Invalid(
                "structured_output_schema refers to something outside itself; only references starting with # work."
            )
        if not _is_there(schema, reference):
            raise Invalid("structured_output_schema refers to something that is not in it.")
    dialect = schema.get("$schema")
    if isinstance(dialect, str) and "draft-07" not in dialect:
        raise Invalid(
            "structured_output_schema names another dialect; Devin takes JSON Schema draft 7."
        )
    import jsonschema

    try:
        jsonschema.Draft7Validator.check_schema(schema)
    except jsonschema.SchemaError as problem:
        raise Invalid(
            f"structured_output_schema is not valid JSON Schema draft 7, at {_place(problem.path)}."
        ) from None
    return schema


def _place(path: Iterable[str | int]) -> str:
    """Where, in the standard's own words: names that the caller chose are left out."""
    known = jsonschema_keywords()
    return (
        "/".join(str(step) if isinstance(step, int) or step in known else "…" for step in path)[
            :100
        ]
        or "its root"
    )


@lru_cache(maxsize=1)
def jsonschema_keywords() -> frozenset[str]:
    import jsonschema

    return frozenset(jsonschema.Draft7Validator.META_SCHEMA["properties"])


_DATA = frozenset({"default", "const", "enum", "examples"})
"""What stands there is a value, whatever it looks like."""


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name in {"$ref", "$dynamicRef", "$recursiveRef"} and isinstance(part, str):
                yield part
            if name not in _DATA:
                yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _is_there(schema: object, reference: str) -> bool:
    """Whether a JSON pointer leads somewhere; a named anchor is taken on trust."""
    if not reference.startswith("#/"):
        return True
    for step in unquote(reference[2:]).split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict) and name in schema:
            schema = schema[name]
        elif isinstance(schema, list) and name.isdecimal() and int(name) < len(schema):
            schema = schema[int(name)]
        else:
            return False
    return True
