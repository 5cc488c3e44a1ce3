"""`structured_output_schema`, checked before it costs anything: draft 7, at most 64 KB,
self-contained (v1.md §3.1).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import anyio.to_thread

from devin_mcp.errors import Invalid

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 64
"""Nested objects and lists: each level of a schema has about two."""
MAX_SCHEMA_LIST = 2000
"""Items of a list, such as the values of an enum."""
MAX_TYPES = 7
"""Items of `type`: draft 7 knows no more types."""
MAX_PATTERN_CHARS = 1000
MAX_SCHEMA_PATH_CHARS = 100

OutputSchema = dict[str, Any]

_DATA_KEYWORDS = frozenset({"default", "const", "enum", "examples"})
"""Their values are data and contain no references, whatever they look like."""
_REFERENCE_KEYWORDS = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


async def validate_output_schema(schema: OutputSchema | None) -> OutputSchema | None:
    """The schema itself. Raises Invalid with what is wrong with it."""
    if schema is not None:
        _check_size(schema)
        # In a thread: 64 KB take a tenth of a second, in which no other call would be served.
        await anyio.to_thread.run_sync(_check, schema)
    return schema


def _check_size(schema: OutputSchema) -> None:
    """Raises Invalid for a schema that is too large to be checked, in any direction."""
    pending: list[tuple[str, Any, int]] = [("", schema, 1)]
    while pending:
        name, value, depth = pending.pop()
        if depth > MAX_SCHEMA_DEPTH:
            raise Invalid(
                f"structured_output_schema is nested more than {MAX_SCHEMA_DEPTH} levels deep."
            )
        if isinstance(value, dict):
            pending += [(key, part, depth + 1) for key, part in value.items()]
        elif isinstance(value, list):
            most = MAX_TYPES if name == "type" else MAX_SCHEMA_LIST
            if len(value) > most:
                raise Invalid(
                    f"structured_output_schema has a list of {len(value)} items, where at most "
                    f"{most} are allowed."
                )
            pending += [("", part, depth + 1) for part in value]
        elif name == "pattern" and isinstance(value, str) and len(value) > MAX_PATTERN_CHARS:
            raise Invalid(
                "structured_output_schema has a pattern of more than "
                f"{MAX_PATTERN_CHARS} characters."
            )
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:  # NaN or a lone surrogate
        raise Invalid(
            "structured_output_schema holds something that cannot be written as JSON."
        ) from None
    if size > MAX_SCHEMA_BYTES:
        raise Invalid(
            f"structured_output_schema has {size} bytes; Devin takes at most {MAX_SCHEMA_BYTES}."
        )


def _check(schema: OutputSchema) -> None:
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
    from jsonschema import Draft7Validator

    validator = Draft7Validator(
        Draft7Validator.META_SCHEMA, format_checker=Draft7Validator.FORMAT_CHECKER
    )
    try:
        error = next(validator.iter_errors(schema), None)  # the others are not needed
    except RecursionError:
        raise Invalid("structured_output_schema has a pattern that is nested too deeply.") from None
    if error is not None:
        raise Invalid(
            "structured_output_schema is not valid JSON Schema draft 7, at "
            f"{_describe_path(error.path)}."
        )


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
