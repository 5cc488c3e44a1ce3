"""`structured_output_schema`, checked before it costs anything: draft 7, at most 64 KB, self-contained (v1.md §3.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from devin_mcp.errors import Invalid

LARGEST = 64 * 1024

OutputSchema = dict[str, Any]


def checked_output_schema(schema: OutputSchema | None) -> OutputSchema | None:
    """The schema itself, or Invalid with what is wrong with it."""
    if schema is None:
        return None
    size = len(json.dumps(schema, ensure_ascii=False).encode())
    if size > LARGEST:
        raise Invalid(f"structured_output_schema has {size} bytes; Devin takes at most {LARGEST}.")
    if any(not reference.startswith("#") for reference in _references(schema)):
        raise Invalid("structured_output_schema refers to something outside itself; only references starting with # work.")
    dialect = schema.get("$schema")
    if isinstance(dialect, str) and "draft-07" not in dialect:
        raise Invalid("structured_output_schema names another dialect; Devin takes JSON Schema draft 7.")
    import jsonschema

    try:
        jsonschema.Draft7Validator.check_schema(schema)
    except jsonschema.SchemaError as problem:
        place = "/".join(str(step) for step in problem.path) or "its root"
        raise Invalid(f"structured_output_schema is not valid JSON Schema draft 7, at {place[:100]}.") from None
    return schema


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name in {"$ref", "$dynamicRef", "$recursiveRef"} and isinstance(part, str):
                yield part
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)
