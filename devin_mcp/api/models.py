"""Base models for the JSON that Devin answers: lenient about additions, precise about what is
needed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

T = TypeVar("T")


class ApiModel(BaseModel):
    """A JSON object from Devin. Unknown fields are ignored, so additions upstream break nothing."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


_UTC_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _format_time(value: object) -> object:
    """`2025-12-20T14:47:51.845058Z`, or with an offset, -> `2025-12-20T14:47:51Z`."""
    if not isinstance(value, str):
        return value
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


Time = Annotated[str, BeforeValidator(_format_time)]
"""UTC, to the second. A text that is not a time stays as it came (v1.md §1)."""


def _empty_for_null(value: object) -> object:
    return [] if value is None else value


ListOrNull = Annotated[list[T], BeforeValidator(_empty_for_null)]
"""A list that may come as null."""


class ItemList(ApiModel, Generic[T]):
    """A bare array, or `{items: [...]}` as one observer saw it (v1.md §7)."""

    items: list[T]

    @model_validator(mode="before")
    @classmethod
    def _wrap_array(cls, value: object) -> object:
        return {"items": value} if isinstance(value, list) else value


class Acknowledgement(ApiModel):
    """An answer without data: an empty body, `null`, or an object with a remark in `detail`."""

    detail: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_anything(cls, value: object) -> object:
        detail = value.get("detail") if isinstance(value, dict) else None
        return {"detail": detail if isinstance(detail, str) else None}
