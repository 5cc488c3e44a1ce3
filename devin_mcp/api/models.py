"""What every exchange with Devin shares: the lenient base model, times, ids and routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from devin_mcp.errors import Invalid

T = TypeVar("T")


class ApiModel(BaseModel):
    """A body from Devin: fields we do not know are ignored, so that an addition upstream breaks nobody."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


_AS_DEVIN_WRITES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _plain_time(value: object) -> object:
    """`2025-12-20T14:47:51.845058Z` (or with an offset, or without a fraction) -> `2025-12-20T14:47:51Z`."""
    if not isinstance(value, str):
        return value
    if _AS_DEVIN_WRITES.fullmatch(value):
        return value[:19] + "Z"
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return value
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    try:
        return parsed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:  # at the ends of the calendar
        return value


Time = Annotated[str, BeforeValidator(_plain_time)]
"""UTC, to the second; a text that is no time stays as it came (devin-api/v1.md §1)."""


class Rows(ApiModel, Generic[T]):
    """A bare array, or `{items: [...]}` as one observer saw it (devin-api/v1.md §7)."""

    items: list[T]

    @model_validator(mode="before")
    @classmethod
    def _wrapped(cls, value: object) -> object:
        return {"items": value} if isinstance(value, list) else value


class Acknowledgement(ApiModel):
    """An answer that says no more than that it was done: nothing, `null`, or an object with a word in it."""

    detail: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _anything(cls, value: object) -> object:
        detail = value.get("detail") if isinstance(value, dict) else None
        return {"detail": detail if isinstance(detail, str) else None}


def _no_null(value: object) -> object:
    return [] if value is None else value


ListOrNull = Annotated[list[T], BeforeValidator(_no_null)]
"""A list that may come as null."""

ID_SHAPE = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
Id = Annotated[str, Field(pattern=ID_SHAPE, max_length=128)]
"""One path segment and nothing else: no slash, no `..`, no percent sign."""


def is_id(text: str) -> bool:
    """Something that can stand in an address and comes back as what it was."""
    return len(text) <= 128 and re.fullmatch(ID_SHAPE, text) is not None


def _with_prefix(text: str) -> str:
    """As the API writes it: web addresses have the id without its prefix (v1.md §3.1)."""
    return f"devin-{text}" if re.fullmatch(r"[0-9a-f]{32}", text) else text


SessionId = Annotated[
    Id, AfterValidator(_with_prefix), Field(description="Session id, as devin-1a2b")
]
NoteId = Annotated[Id, Field(description="Note id, as note-1a2b")]
FolderId = Annotated[Id, Field(description="Folder id, as folder-1a2b")]
PlaybookId = Annotated[Id, Field(description="Playbook id, as playbook-1a2b")]
SecretId = Annotated[Id, Field(description="Secret id, from devin_list_secrets")]


@dataclass(frozen=True)
class Route:
    """One operation of the API: `GET /v1/sessions/{session_id}`."""

    method: str
    template: str

    @classmethod
    def parse(cls, text: str) -> Route:
        method, template = text.split(" ")
        return cls(method, template)

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def path(self, values: Mapping[str, str]) -> str:
        """The template with its places filled, each value checked to be one segment and percent-encoded."""

        def fill(match: re.Match[str]) -> str:
            value = values[match[1]]
            if not value or value in {".", ".."} or re.search(r"[/\\\x00-\x1f\x7f]", value):
                raise Invalid(f"The {match[1]} is not a plain id.")
            return quote(value, safe="")

        return re.sub(r"\{(\w+)\}", fill, self.template)


NOWHERE = Route("-", "-")
"""Of an operation that only uses others."""
