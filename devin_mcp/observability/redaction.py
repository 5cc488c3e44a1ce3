"""What must not be written anywhere: known secret values, and whatever is shaped like a Devin key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

KEY_SHAPE = re.compile(r"\b(?:apk|cog)_[A-Za-z0-9_+/=.~-]{4,}")
HIDDEN = "[hidden]"


class Redactor:
    """Replaces known secret values and anything shaped like a Devin key. One per process; values are only added."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._escaped: set[str] = set()

    def hide(self, values: Iterable[str]) -> None:
        """Never write these values. Shorter than four characters would blank ordinary words, so those are skipped."""
        self._values.update(value for value in values if len(value) >= 4)
        self._escaped = {
            json.dumps(value, ensure_ascii=plain)[1:-1]
            for value in self._values
            for plain in (False, True)
        }

    def clean(self, text: str) -> str:
        if "apk_" in text or "cog_" in text:
            text = KEY_SHAPE.sub(HIDDEN, text)
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        return text

    def clean_json(self, text: str) -> str:
        """The same within JSON, where a value may stand escaped."""
        if (
            "apk_" not in text
            and "cog_" not in text
            and not any(value in text for value in self._escaped)
        ):
            return text
        return json.dumps(
            self._cleaned(json.loads(text)), ensure_ascii=False, separators=(",", ":")
        )

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, list):
            return [self._cleaned(part) for part in value]
        if isinstance(value, dict):
            return {self.clean(name): self._cleaned(part) for name, part in value.items()}
        return value


redactor = Redactor()
