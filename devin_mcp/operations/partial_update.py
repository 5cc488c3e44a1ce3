"""Partial update over a full-replace PUT: read the record, overlay the given fields, send all of it
(v1.md §6, §7, v3-additions.md §6, §7).

A field is emptied by name, with `clear`. Nothing else empties a field: an empty text counts as
absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devin_mcp.api.models import ApiModel
from devin_mcp.errors import Broken, Invalid
from devin_mcp.keys import DevinApi
from devin_mcp.operations.capabilities import API_CAPABILITIES, Requires

FieldName = TypeVar("FieldName", bound=str)
Clear = Annotated[list[FieldName], Field(description="Fields to empty")]
WriteT = TypeVar("WriteT", bound=BaseModel)


NOT_SHOWN = object()
"""In place of a field that Devin did not send; null says that it is empty."""
MAY_BE_LEFT_OUT = "may be left out"
"""Marks a field that keeps its value if a PUT leaves it out (v3-additions.md §6, §7)."""


class RawRecord(ApiModel):
    """A record with every field as Devin sent it, unknown ones included."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    def value(self, name: str, v1_name: str | None) -> Any:
        """The field under its name or under its name in v1; NOT_SHOWN if Devin sent none."""
        fields = self.model_extra or {}
        return fields.get(name, fields.get(v1_name or name, NOT_SHOWN))

    def check_id(self, wanted_id: str, name: str) -> None:
        """Raises Broken if this is another record, which would be written over the wanted one."""
        record_id = self.value(name, None)
        if record_id is not NOT_SHOWN and record_id != wanted_id:
            raise Broken("Devin answered with another record than the one that was asked for.")


class Change:
    """What a caller wants to change in a record: new values, and fields to empty."""

    def __init__(self, values: Mapping[str, object], clear: Sequence[str]) -> None:
        """`values` has every field that the PUT takes; None keeps what the record has.

        Raises Invalid if nothing changes, or if a field has a value and is to be emptied.
        """
        if not clear and all(value is None for value in values.values()):
            raise Invalid(
                "Nothing to change: give at least one field a value, or name fields to empty in "
                "clear (an empty text counts as absent)."
            )
        if both := [name for name in clear if values[name] is not None]:
            raise Invalid(f"{both[0]} has a value and is in clear. Give one of the two.")
        self._values = values
        self._clear = frozenset(clear)

    def named_fields(self) -> dict[str, Any]:
        """What a PATCH sends: the new values, and null for what is emptied. The rest stays."""
        named = {name: value for name, value in self._values.items() if value is not None}
        return named | dict.fromkeys(self._clear)

    def merge(self, record: RawRecord, write: type[WriteT], api: DevinApi) -> WriteT:
        """The whole record to send to this API. A field that has no value and gets none is not set.

        Raises Invalid rather than losing a field that cannot be read.
        """
        merged: dict[str, Any] = {}
        for name, field in write.model_fields.items():
            if any(
                isinstance(mark, Requires) and mark.capability != API_CAPABILITIES[api]
                for mark in field.metadata
            ):
                continue
            current = record.value(name, field.alias)
            if name in self._clear:
                merged[name] = None
                continue
            value = self._values.get(name)
            if value is None and current is NOT_SHOWN:
                if MAY_BE_LEFT_OUT in field.metadata:
                    continue
                raise _not_shown(name)
            value = current if value is None else value
            if value is not None or field.is_required():
                merged[name] = value
        try:
            return write.model_validate(merged, strict=True)
        except ValidationError as error:
            raise _not_shown(str(error.errors(include_input=False)[0]["loc"][0])) from None


def _not_shown(name: str) -> Invalid:
    argument = name.removeprefix("is_")
    return Invalid(
        f"Devin did not show {argument} in a form that can be sent back, so this change would lose "
        "it.",
        f"Nothing was changed. Give {argument} too.",
    )
