"""Notes and folders as Devin returns them, and all of a key's notes as they were a moment ago
(v1.md §6).
"""

from __future__ import annotations

from functools import cached_property

from pydantic import Field

from devin_mcp.api.models import ApiModel, ListOrNull, Time
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.browsing import ResourceEntry
from devin_mcp.operations.markdown import document, facts, first_line, one_line
from devin_mcp.operations.matching import Candidate, macro_text
from devin_mcp.operations.parameters import is_id
from devin_mcp.operations.partial_update import RawRecord
from devin_mcp.operations.results import TextSlice


class Author(ApiModel):
    full_name: str | None = None


class Note(ApiModel):
    """A note, with as much of its body as was asked for."""

    id: str
    name: str
    trigger_description: str | None = None
    body: str | None = None
    truncated: bool | None = None
    length: int | None = Field(None, description="Of the whole body, when cut")
    parent_folder_id: str | None = None
    macro: str | None = None
    pinned_repo: str | None = None
    created_at: Time | None = None
    created_by: Author | None = None

    def contains(self, words: list[str]) -> bool:
        """True if every word (lower case) occurs in one of the note's texts."""
        texts = (self.name, self.trigger_description, self.macro, self.body)
        text = " ".join(part or "" for part in texts).lower()
        return all(word in text for word in words)

    def slice(self, start: int, room: int) -> Note:
        """The note with `room` characters of its body from `start` on."""
        part = TextSlice.of(self.body or "", start, room)
        return self.model_copy(
            update={"body": part.text, "truncated": part.truncated, "length": part.length}
        )


class KnowledgeFolder(ApiModel):
    id: str
    name: str = ""
    description: str | None = None


class KnowledgeList(ApiModel):
    """All notes and folders, as Devin returns them."""

    folders: ListOrNull[KnowledgeFolder] = []
    knowledge: ListOrNull[Note]


class RawNotes(ApiModel):
    """All notes with every field as Devin sent it."""

    knowledge: ListOrNull[RawRecord]


class KnowledgeBase:
    """All notes and folders of a key, as they were a moment ago."""

    def __init__(self, response: KnowledgeList) -> None:
        self.folders = response.folders
        self.notes = response.knowledge
        self._folder_names = {folder.id: folder.name for folder in response.folders}

    def find(self, note_id: str) -> Note | None:
        return next((note for note in self.notes if note.id == note_id), None)

    def folder_name(self, note: Note) -> str | None:
        """The name of the note's folder, else its id; None without a folder."""
        return self._folder_names.get(note.parent_folder_id or "", note.parent_folder_id)

    def markdown(self, note: Note) -> str:
        head = facts(
            recalled_when=note.trigger_description,
            folder=self.folder_name(note),
            pinned_to=note.pinned_repo,
            macro=note.macro,
        )
        return document(note.name, head, note.body or "")

    @cached_property
    def by_name(self) -> list[Note]:
        return sorted(self.notes, key=lambda note: (note.name.casefold(), note.id))

    @cached_property
    def entries(self) -> list[ResourceEntry]:
        return [
            ResourceEntry(
                id=note.id,
                title=redactor.clean(one_line(note.name)),
                description=redactor.clean(
                    one_line(note.trigger_description) or first_line(note.body)
                ),
                size=len(redactor.clean(self.markdown(note)).encode()),
            )
            for note in self.by_name
            if is_id(note.id)
        ]

    @cached_property
    def candidates(self) -> list[Candidate]:
        return [
            Candidate(note.id, (macro_text(note.macro), note.name))
            for note in self.by_name
            if is_id(note.id)
        ]

    @cached_property
    def repositories(self) -> list[Candidate]:
        names = {note.pinned_repo for note in self.notes if note.pinned_repo}
        return [Candidate(name) for name in sorted(names - {"all"})]
