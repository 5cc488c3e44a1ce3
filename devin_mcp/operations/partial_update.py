"""Partial update over a full-replace PUT: read the record, overlay the given fields, send all of it
(v1.md §6, §7).
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from pydantic import ConfigDict

from devin_mcp.api.models import ApiModel
from devin_mcp.errors import Invalid


class RawRecord(ApiModel):
    """A record with every field as Devin sent it, unknown ones included."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    id: str = ""


def merge_unchanged(
    record: RawRecord, changes: Mapping[str, str | None], required: Container[str]
) -> dict[str, str | None]:
    """The fields to send: the given ones, the record's own for the others. An empty text clears.

    Raises Invalid rather than losing a field that cannot be read.
    """
    fields: dict[str, str | None] = {}
    for name, change in changes.items():
        value = getattr(record, name, None) if change is None else change
        if (value is None and name in required) or not isinstance(value, str | None):
            raise Invalid(
                f"Devin did not show {name} in a form that can be sent back, so this change would "
                "lose it.",
                f"Nothing was changed. Give {name} too.",
            )
        fields[name] = value if name in required else value or None
    return fields
