"""Reads and writes the JSON or TOML of clients' configuration files without losing anything."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, MutableMapping
from typing import Any, NoReturn


def parse(contents: bytes, suffix: str) -> MutableMapping[str, Any]:
    """The contents of a file. Raises ValueError if writing them again would lose something."""
    text = contents.decode("utf-8-sig")
    if suffix == "toml":
        import tomlkit

        return tomlkit.parse(text)
    parsed = json.loads(
        text if text.strip() else "{}",
        object_pairs_hook=_reject_duplicates,
        parse_constant=_reject_constant,
        parse_float=_reject_infinity,
    )
    if not isinstance(parsed, dict):
        raise ValueError  # noqa: TRY004 - the text is wrong, not the type of an argument
    return parsed


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that occurs twice, the first value would be lost."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _reject_constant(_: str) -> NoReturn:
    """NaN and Infinity are not JSON."""
    raise ValueError


def _reject_infinity(text: str) -> float:
    """A number such as 1e999 would be written as Infinity."""
    if math.isinf(float(text)):
        raise ValueError
    return float(text)


def serialize(contents: Mapping[str, Any], suffix: str) -> str:
    if suffix == "toml":
        import tomlkit

        return tomlkit.dumps(contents)
    return json.dumps(contents, indent=2, ensure_ascii=False) + "\n"
