"""Notes and folders as Devin returns them, and all of a key's notes as they were a moment ago
(v1.md §6, v3.md §6).
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from devin_mcp.api.models import ApiModel, ListOrNull, ShortText
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.browsing import ResourceEntry
from devin_mcp.operations.capabilities import V1, V3, Requires
from devin_mcp.operations.markdown import document, facts, first_line, one_line
from devin_mcp.operations.matching import Candidate, macro_text
from devin_mcp.operations.parameters import is_id
from devin_mcp.operations.partial_update import MAY_BE_LEFT_OUT, RawRecord
from devin_mcp.operations.results import TextSlice


class Note(ApiModel):
    """A note, with as much of its body as was asked for."""

    note_id: str = Field(alias="id")
    name: ShortText
    trigger: ShortText | None = Field(None, alias="trigger_description")
    body: str | None = None
    truncated: bool | None = None
    length: int | None = Field(None, description="Of the whole body, when cut")
    folder_id: str | None = Field(None, alias="parent_folder_id")
    macro: ShortText | None = None
    pinned_repo: ShortText | None = None
    enabled: Annotated[bool | None, Requires(V3)] = Field(
        None, description="false = Devin does not recall it"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_enabled(cls, value: object) -> object:
        """Only a note that is not enabled says so."""
        if isinstance(value, dict) and value.get("is_enabled") is False:
            return {**value, "enabled": False}
        return value

    def contains(self, words: list[str]) -> bool:
        """True if every word (lower case) occurs in one of the note's texts."""
        texts = (self.name, self.trigger, self.macro, self.body)
        text = " ".join(part or "" for part in texts).lower()
        return all(word in text for word in words)

    def slice(self, start: int, room: int) -> Note:
        """The note with `room` characters of its body from `start` on."""
        part = TextSlice.of(self.body or "", start, room)
        return self.model_copy(
            update={"body": part.text, "truncated": part.truncated, "length": part.length}
        )


def _empty_for_null(value: Any) -> Any:
    return "" if value is None else value


class NoteWrite(ApiModel):
    """A whole note, as Devin takes it."""

    name: str
    body: str
    trigger: Annotated[str, BeforeValidator(_empty_for_null)] = Field(alias="trigger_description")
    folder_id: str | None = Field(None, alias="parent_folder_id")
    macro: Annotated[str | None, Requires(V1)] = None
    pinned_repo: str | None = None
    is_enabled: Annotated[bool | None, Requires(V3), MAY_BE_LEFT_OUT] = None


class KnowledgeFolder(ApiModel):
    folder_id: str = Field(alias="id")
    name: ShortText = ""
    path: Annotated[ShortText | None, Requires(V3)] = None
    description: Annotated[ShortText | None, Requires(V1)] = None


class KnowledgeList(ApiModel):
    """All notes and folders, as v1 returns them."""

    folders: ListOrNull[KnowledgeFolder] = []
    knowledge: ListOrNull[Note]


class FolderList(ApiModel):
    """All folders, as v3 returns them."""

    folders: ListOrNull[KnowledgeFolder] = []


class RawNotes(ApiModel):
    """All notes of v1 with every field as Devin sent it."""

    knowledge: ListOrNull[RawRecord]


class KnowledgeBase:
    """All notes and folders of a key, as they were a moment ago."""

    def __init__(self, notes: list[Note], folders: list[KnowledgeFolder]) -> None:
        self.folders = folders
        self.notes = notes
        self._folder_names = {folder.folder_id: folder.name for folder in folders}

    def find(self, note_id: str) -> Note | None:
        return next((note for note in self.notes if note.note_id == note_id), None)

    def folder_name(self, note: Note) -> str | None:
        """The name of the note's folder, else its id; None without a folder."""
        return self._folder_names.get(note.folder_id or "", note.folder_id)

    def markdown(self, note: Note) -> str:
        head = facts(
            recalled_when=note.trigger,
            folder=self.folder_name(note),
            pinned_to=note.pinned_repo,
            macro=note.macro,
            enabled="no" if note.enabled is False else None,
        )
        return document(note.name, head, note.body or "")

    @cached_property
    def by_name(self) -> list[Note]:
        return sorted(self.notes, key=lambda note: (note.name.casefold(), note.note_id))

    @cached_property
    def entries(self) -> list[ResourceEntry]:
        return [
            ResourceEntry(
                id=note.note_id,
                title=one_line(note.name),
                description=one_line(note.trigger) or first_line(note.body),
                size=len(redactor.clean(self.markdown(note)).encode()),
            )
            for note in self.by_name
            if is_id(note.note_id)
        ]

    @cached_property
    def candidates(self) -> list[Candidate]:
        return [
            Candidate(note.note_id, (macro_text(note.macro), note.name))
            for note in self.by_name
            if is_id(note.note_id)
        ]
