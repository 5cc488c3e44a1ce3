"""`structured_output_schema`, checked before it costs anything: draft 7, at most 64 KB,
self-contained (v1.md §3.1).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from devin_mcp.errors import Invalid

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_PATH_CHARS = 100

OutputSchema = dict[str, Any]

_DATA_KEYWORDS = frozenset({"default", "const", "enum", "examples"})
"""Their values are data and contain no references, whatever they look like."""
_REFERENCE_KEYWORDS = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


def validate_output_schema(schema: OutputSchema | None) -> OutputSchema | None:
    """The schema itself. Raises Invalid with what is wrong with it."""
    if schema is None:
        return None
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):  # NaN, a lone surrogate, or endless nesting
        raise Invalid(
            "structured_output_schema holds something that cannot be written as JSON."
        ) from None
    if size > MAX_SCHEMA_BYTES:
        raise Invalid(
            f"structured_output_schema has {size} bytes; Devin takes at most {MAX_SCHEMA_BYTES}."
        )
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise Invalid(
                "structured_output_schema refers to something outside itself; only references "
                "starting with # work."
            )
        if not _resolves(schema, reference):
            raise Invalid("structured_output_schema refers to something that is not in it.")
    dialect = schema.get("$schema")
    if isinstance(dialect, str) and "draft-07" not in dialect:
        raise Invalid(
            "structured_output_schema names another dialect; Devin takes JSON Schema draft 7."
        )
    import jsonschema

    try:
        jsonschema.Draft7Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise Invalid(
            "structured_output_schema is not valid JSON Schema draft 7, at "
            f"{_describe_path(error.path)}."
        ) from None
    return schema


def _describe_path(path: Iterable[str | int]) -> str:
    """A path in the standard's own keywords; names that the caller chose are left out."""
    keywords = _keywords()
    steps = (str(step) if isinstance(step, int) or step in keywords else "…" for step in path)
    return "/".join(steps)[:MAX_SCHEMA_PATH_CHARS] or "its root"


@lru_cache(maxsize=1)
def _keywords() -> frozenset[str]:
    import jsonschema

    return frozenset(jsonschema.Draft7Validator.META_SCHEMA["properties"])


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name in _REFERENCE_KEYWORDS and isinstance(part, str):
                yield part
            if name not in _DATA_KEYWORDS:
                yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _resolves(schema: object, reference: str) -> bool:
    """True if a JSON pointer exists in the schema; a named anchor is not checked."""
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
