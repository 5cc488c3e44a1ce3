"""Changing a part: v1 replaces everything (v1.md §6, §7), so what is not given is read first and sent back as it was."""

from __future__ import annotations

from collections.abc import Container, Mapping

from pydantic import ConfigDict

from devin_mcp.api.models import ApiModel, ListOrNull
from devin_mcp.errors import Invalid


class RawRecord(ApiModel):
    """A thing with every field just as Devin wrote it, also those in a form that is not known here."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    id: str = ""


class RawNotes(ApiModel):
    knowledge: ListOrNull[RawRecord]


def kept(
    now: RawRecord, given: Mapping[str, str | None], needed: Container[str]
) -> dict[str, str | None]:
    """What is given, else what is there; an empty text clears. Raises Invalid rather than losing what cannot be read."""
    whole: dict[str, str | None] = {}
    for name, value in given.items():
        known = getattr(now, name, None) if value is None else value
        if (known is None and name in needed) or not isinstance(known, str | None):
            raise Invalid(
                f"Devin did not show {name} in a form that can be sent back, so this change would lose it.",
                f"Nothing was changed. Give {name} too.",
            )
        whole[name] = known if name in needed else known or None
    return whole
