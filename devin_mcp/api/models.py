"""Base models for the JSON that Devin answers: lenient about additions, precise about what is
needed.

A model reads the shapes of both APIs: a field has v3's name, its alias is the name in v1.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

T = TypeVar("T")


class ApiModel(BaseModel):
    """A JSON object from Devin. Unknown fields are ignored, so additions upstream break nothing."""

    model_config = ConfigDict(
        extra="ignore", hide_input_in_errors=True, populate_by_name=True, defer_build=True
    )


MAX_SHORT_CHARS = 10_000
"""Of a title, name, address or time. Devin's own have a few hundred; more would only cost time."""


def _shorten(value: object) -> object:
    if not isinstance(value, str) or len(value) <= MAX_SHORT_CHARS:
        return value
    return f"{value[:MAX_SHORT_CHARS]}…"


ShortText = Annotated[str, BeforeValidator(_shorten)]
"""A text of which no more than its beginning is ever shown."""

_UTC_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _format_time(value: object) -> object:
    """Unix seconds (v3), or `2025-12-20T14:47:51.845058Z` or with an offset (v1), ->
    `2025-12-20T14:47:51Z`.
    """
    if isinstance(value, str):
        return _shorten(value) if len(value) > MAX_SHORT_CHARS else _format_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _format_seconds(value)
    return value


def _format_text(value: str) -> str:
    if _UTC_TIMESTAMP.fullmatch(value):
        return value[:19] + "Z"
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return value
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    try:
        return parsed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:  # year 1 or 9999
        return value


def _format_seconds(value: float) -> object:
    try:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return value


Time = Annotated[str, BeforeValidator(_format_time)]
"""UTC, to the second. A text that is not a time stays as it came (v1.md §1, v3.md §1)."""


def _empty_for_null(value: object) -> object:
    return [] if value is None else value


ListOrNull = Annotated[list[T], BeforeValidator(_empty_for_null)]
"""A list that may come as null."""


MAX_DEPTH = 100
"""Levels of JSON that is passed on as it is. Serializers and clients give up at about 200."""
TOO_DEEP = f"… (left out: nested deeper than {MAX_DEPTH} levels)"


def limit_depth(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The JSON value with TOO_DEEP in place of what is nested too deeply."""
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        return TOO_DEEP
    if isinstance(value, list):
        return [limit_depth(part, depth - 1) for part in value]
    return {name: limit_depth(part, depth - 1) for name, part in value.items()}


def _refuse_depth(value: dict[str, Any]) -> dict[str, Any]:
    if limit_depth(value) != value:
        raise ValueError("nested too deeply")
    return value


AnyObject = Annotated[dict[str, Any], AfterValidator(limit_depth)]
"""A JSON object of any content, which is shown as it came."""
WritableObject = Annotated[dict[str, Any], AfterValidator(_refuse_depth)]
"""The same to be sent back: nothing may be left out."""


def _none_unless_text(value: object) -> object:
    return value if isinstance(value, str) else None


def _true_unless_denied(value: object) -> bool:
    """A value that cannot be read may mean that more follows."""
    return value not in (None, False)


class ItemList(ApiModel, Generic[T]):
    """A page `{items, end_cursor, has_next_page}` of v3 (v3.md §3), or a bare array (v1.md §7)."""

    items: list[T]
    end_cursor: Annotated[str | None, BeforeValidator(_none_unless_text)] = None
    has_next_page: Annotated[bool, BeforeValidator(_true_unless_denied)] = False

    @model_validator(mode="before")
    @classmethod
    def _wrap_array(cls, value: object) -> object:
        return {"items": value} if isinstance(value, list) else value

    @property
    def next_cursor(self) -> str | None:
        """Cursor of the next page; None on the last one."""
        return self.end_cursor or None if self.has_next_page else None

    def is_cut_off(self, after: str | None) -> bool:
        """True if more follows and no cursor leads there: what is not on this page may exist.

        `after` is the cursor that this page was read with.
        """
        return self.has_next_page and self.end_cursor in {None, "", after}


class Acknowledgement(ApiModel):
    """An answer without data: an empty body, `null`, or an object with a remark in `detail`."""

    detail: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_anything(cls, value: object) -> object:
        detail = value.get("detail") if isinstance(value, dict) else None
        return {"detail": detail if isinstance(detail, str) else None}
