"""Redaction of known secret values and of everything that looks like a Devin key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from devin_mcp.keys import API_BY_PREFIX, KEY_PATTERN, LOGIN_TOKEN_PREFIX

HIDDEN = "[hidden]"
MIN_CHARS = 4
"""Shorter values are not redacted, because that would blank ordinary words."""

_PREFIXES = (*API_BY_PREFIX, LOGIN_TOKEN_PREFIX)
_ESCAPE_BEFORE = r"(?<=\\[abfnrtv])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-fA-F]{4})|(?<=\\U[0-9a-f]{8})"
"""Python and JSON write a line break as `\\n`: a key after it begins in the middle of a word."""
_KEY_IN_TEXT = re.compile(
    rf"(?:(?:\b|{_ESCAPE_BEFORE}){KEY_PATTERN.pattern}|{re.escape(LOGIN_TOKEN_PREFIX)}[\w])"
    r"(?a:[\w+/=.~$-]*)"
)
"""Also matches a text that is too long for a key, to its end."""


class Redactor:
    """Replaces secret values and everything that looks like a Devin key. One per process."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._escaped: set[str] = set()

    def hide(self, values: Iterable[str]) -> None:
        """Add values to redact from now on."""
        self._values.update(value for value in values if len(value) >= MIN_CHARS)
        self._escaped = {
            json.dumps(value, ensure_ascii=ensure_ascii)[1:-1]
            for value in self._values
            for ensure_ascii in (False, True)
        }

    def clean(self, text: str) -> str:
        """The text with all secrets replaced."""
        if _may_contain_key(text):
            text = _KEY_IN_TEXT.sub(HIDDEN, text)
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        return text

    def clean_json(self, text: str, *, ensure_ascii: bool = False) -> str:
        """The JSON text with all secrets replaced, including escaped ones.

        With `ensure_ascii` it stays in ASCII.
        """
        if not _may_contain_key(text) and not any(value in text for value in self._escaped):
            return text
        return json.dumps(
            self.clean_value(json.loads(text)), ensure_ascii=ensure_ascii, separators=(",", ":")
        )

    def clean_value(self, value: Any) -> Any:
        """The JSON value with all secrets replaced, in names, too."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, list):
            return [self.clean_value(part) for part in value]
        if isinstance(value, dict):
            return {self.clean(name): self.clean_value(part) for name, part in value.items()}
        return value


def _may_contain_key(text: str) -> bool:
    """A search for the prefixes, which is much cheaper than one for the pattern."""
    return any(prefix in text for prefix in _PREFIXES)


redactor = Redactor()
