"""Playbooks as Devin returns them, and all of a key's playbooks as they were a moment ago (v1.md
§7, v3.md §7).
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field

from devin_mcp.api.models import AnyObject, ApiModel, ShortText, Time, WritableObject
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.browsing import ResourceEntry
from devin_mcp.operations.capabilities import V1, V3, Requires
from devin_mcp.operations.markdown import document, facts, first_line, one_line
from devin_mcp.operations.matching import Candidate, macro_text, slug, unique_names
from devin_mcp.operations.parameters import is_id
from devin_mcp.operations.partial_update import MAY_BE_LEFT_OUT


class PlaybookSummary(ApiModel):
    """A playbook; `body` only where it was asked for (v1.md §7)."""

    playbook_id: str
    title: ShortText
    macro: ShortText | None = None
    body: str | None = None
    truncated: bool | None = None
    length: int | None = Field(None, description="Of the whole body, when cut")


class PlaybookDetails(PlaybookSummary):
    """A playbook with what a list leaves out."""

    status: Annotated[str | None, Requires(V1)] = None
    access_type: str | None = None
    updated_at: Time | None = None
    updated_by_user_name: Annotated[str | None, Requires(V1)] = None
    structured_output_schema: Annotated[AnyObject | None, Requires(V3)] = None


class Playbook(PlaybookDetails):
    """A playbook as Devin returns it."""

    created_at: Time | None = None

    @property
    def markdown(self) -> str:
        head = facts(macro=self.macro, updated=self.updated_at)
        return document(self.title, head, self.body or "")


class PlaybookWrite(ApiModel):
    """A whole playbook, as Devin takes it."""

    title: str
    body: str
    macro: str | None = None
    structured_output_schema: Annotated[WritableObject | None, Requires(V3), MAY_BE_LEFT_OUT] = None


class PlaybookIndex:
    """All playbooks of a key, as they were a moment ago."""

    def __init__(self, playbooks: list[Playbook]) -> None:
        self.playbooks = sorted(
            playbooks, key=lambda playbook: (playbook.title.casefold(), playbook.playbook_id)
        )
        self._addressable = [playbook for playbook in self.playbooks if is_id(playbook.playbook_id)]

    def find(self, playbook_id: str) -> Playbook | None:
        return next(
            (playbook for playbook in self.playbooks if playbook.playbook_id == playbook_id), None
        )

    @cached_property
    def entries(self) -> list[ResourceEntry]:
        return [
            ResourceEntry(
                id=playbook.playbook_id,
                title=one_line(playbook.title),
                description=first_line(playbook.body),
                size=len(redactor.clean(playbook.markdown).encode()),
                modified=playbook.updated_at,
            )
            for playbook in self._addressable
        ]

    @cached_property
    def candidates(self) -> list[Candidate]:
        return [
            Candidate(playbook.playbook_id, (macro_text(playbook.macro), playbook.title))
            for playbook in self._addressable
        ]

    def by_name(self, reserved: frozenset[str]) -> dict[str, Playbook]:
        """By a name that can be typed, from the macro or else the title; `reserved` is avoided."""
        oldest_first = sorted(
            self._addressable,
            key=lambda playbook: (playbook.created_at or "", playbook.playbook_id),
        )
        preferred_names = (
            (playbook.playbook_id, slug(redactor.clean(playbook.macro or playbook.title)))
            for playbook in oldest_first
        )
        by_id = {playbook.playbook_id: playbook for playbook in self._addressable}
        names = unique_names(preferred_names, reserved)
        return dict(sorted((name, by_id[playbook_id]) for playbook_id, name in names.items()))
