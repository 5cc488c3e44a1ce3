"""Reading an answer: what we can do without may be of any shape, what we need must be there.

Devin's fields change and this server should not go blind when one does, so a field that fails is left out, and only
then, if something needed is missing, the answer counts as unreadable.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

T = TypeVar("T", bound=BaseModel)

ROUNDS = 6
"""Leaving a field out can make its parent fail, and so on up."""

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)


def read(shape: type[T], body: bytes) -> T:
    """Raises ValueError (pydantic's ValidationError is one) for what cannot be read."""
    reader = _reader(shape)
    try:
        answer: T = reader.validate_json(body or b"null")
    except ValidationError as problem:
        failed = problem
    else:
        return answer
    try:
        data: Any = json.loads(replace_lone_surrogates(body.decode("utf-8", "replace")))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(data, list):
        data = {"items": data}
    for _ in range(ROUNDS):
        try:
            answer = reader.validate_python(data)
        except ValidationError as problem:
            failed = problem
        else:
            return answer
        places = {
            _place(error["type"], error["loc"])
            for error in failed.errors(include_url=False, include_input=False)
        }
        left_out = [_leave_out(data, place) for place in places]
        if not all(left_out):
            break
    raise failed


def replace_lone_surrogates(text: str) -> str:
    """JSON in which half an emoji, an escaped surrogate without its other half, has become U+FFFD."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\\ufffd" if len(found[0]) == 6 else found[0], text)


def _place(kind: str, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """What has to go: what failed, or what lacks something it needs. Never a list: without it, it would seem empty."""
    return () if kind == "list_type" else loc[:-1] if kind == "missing" else loc


def _leave_out(data: Any, place: tuple[int | str, ...]) -> bool:
    """Whether that was possible: rows of a list stay, for a list must not get shorter unnoticed."""
    *way, last = place or (None,)
    for step in way:
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
def _reader(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)
