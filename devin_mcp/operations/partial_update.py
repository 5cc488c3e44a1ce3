"""Partial update over a full-replace PUT: read the record, overlay the given fields, send all of it
(v1.md §6, §7).

A field is emptied by name, with `clear`. Nothing else empties a field: an empty text counts as
absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field

from devin_mcp.api.models import ApiModel
from devin_mcp.errors import Invalid

REQUIRED = frozenset({"name", "title", "body"})
"""Fields that Devin's PUT requires (v1.md §6, §7)."""

FieldName = TypeVar("FieldName", bound=str)
Clear = Annotated[list[FieldName], Field(description="Fields to empty")]


class RawRecord(ApiModel):
    """A record with every field as Devin sent it, unknown ones included."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    id: str = ""


class Change:
    """What a caller wants to change in a record: new values, and fields to empty."""

    def __init__(self, values: Mapping[str, str | None], clear: Sequence[str]) -> None:
        """`values` has every field that the PUT takes; None keeps what the record has.

        Raises Invalid if nothing changes, or if a field has a value and is to be emptied.
        """
        if not clear and all(value is None for value in values.values()):
            raise Invalid(
                f"Nothing to change: give at least one of {', '.join(values)}, or name fields to "
                "empty in clear (an empty text counts as absent)."
            )
        if both := [name for name in clear if values[name] is not None]:
            raise Invalid(f"{both[0]} has a value and is in clear. Give one of the two.")
        self._values = values
        self._clear = frozenset(clear)

    def merge(self, record: RawRecord) -> dict[str, str | None]:
        """The fields to send. Raises Invalid rather than losing a field that cannot be read."""
        fields: dict[str, str | None] = {}
        for name, value in self._values.items():
            merged = getattr(record, name, None) if value is None else value
            if name in self._clear:
                merged = None
            elif not isinstance(merged, str | None) or (merged is None and name in REQUIRED):
                raise Invalid(
                    f"Devin did not show {name} in a form that can be sent back, so this change "
                    "would lose it.",
                    f"Nothing was changed. Give {name} too.",
                )
            fields[name] = merged if name in REQUIRED else merged or None
        return fields
