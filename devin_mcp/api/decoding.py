"""Decodes response bodies: optional fields may have any shape, required ones must be valid.

Devin's fields change, and one changed field must not make a whole response unreadable. A field that
fails validation is removed; only if a required one is missing then does the response count as
unreadable.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, TypeVar, cast

import anyio.to_thread
from pydantic import BaseModel, TypeAdapter, ValidationError

T = TypeVar("T", bound=BaseModel)
Location = tuple[int | str, ...]

IN_THREAD_BYTES = 64 * 1024
"""A larger body is decoded in a thread, so that other calls are served in the meantime."""
MAX_ERRORS = 10_000
"""With more fields of another shape, a body counts as unreadable."""
MAX_ROUNDS = 6
"""Removing a field can make its parent fail, and so on upwards."""

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)


async def decode_response(model: type[T], body: bytes) -> T:
    """As `decode`."""
    if len(body) > IN_THREAD_BYTES:
        return await anyio.to_thread.run_sync(decode, model, body)
    return decode(model, body)


def decode(model: type[T], body: bytes) -> T:
    """Raises ValueError (pydantic's ValidationError is one) if the body is unreadable."""
    adapter = _adapter(model)
    try:
        return cast("T", adapter.validate_json(body or b"null"))
    except ValidationError as error:
        failure = error
    if failure.error_count() > MAX_ERRORS:
        raise failure
    try:
        data: Any = json.loads(replace_lone_surrogates(body.decode("utf-8", "replace")))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(data, list):
        data = {"items": data}
    for _ in range(MAX_ROUNDS):
        try:
            return cast("T", adapter.validate_python(data))
        except ValidationError as error:
            failure = error
        details = failure.errors(include_url=False, include_input=False)
        locations = {_location_to_remove(detail["type"], detail["loc"]) for detail in details}
        removed = [_remove(data, location) for location in locations]
        if not all(removed):
            break
    raise failure


def replace_lone_surrogates(text: str) -> str:
    """JSON text in which an escaped surrogate without its other half has become U+FFFD."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda escape: "\\ufffd" if len(escape[0]) == 6 else escape[0], text)


def _location_to_remove(error_type: str, location: Location) -> Location:
    """What failed, or the object that lacks a field. Never a whole list: it would seem empty."""
    if error_type == "list_type":
        return ()
    return location[:-1] if error_type == "missing" else location


def _remove(data: Any, location: Location) -> bool:
    """Remove the value at `location`; False if that is impossible.

    Objects in a list stay, because a list must not become shorter unnoticed.
    """
    *path, last = location or (None,)
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    if isinstance(data, dict) and last in data:
        del data[last]
        return True
    if (
        isinstance(data, list)
        and isinstance(last, int)
        and last < len(data)
        and not isinstance(data[last], dict)
    ):
        data[last] = ""
        return True
    return False


@lru_cache(maxsize=128)
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)
