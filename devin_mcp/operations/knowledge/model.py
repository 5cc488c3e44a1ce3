"""Notes as Devin answers them, and all of a key's notes as they were a moment ago (v1.md §6)."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field

from devin_mcp.api.models import ApiModel, ListOrNull, Time, is_id
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.markdown import document, facts, first_line, one_line
from devin_mcp.operations.matching import Candidate, ResourceEntry, macro_text
from devin_mcp.operations.results import TextSlice


class Author(ApiModel):
    full_name: str | None = None


class Note(ApiModel):
    """A note; of its body as much as was asked for."""

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

    def matches(self, words: list[str]) -> bool:
        text = " ".join(
            (self.name, self.trigger_description or "", self.macro or "", self.body or "")
        ).lower()
        return all(word in text for word in words)

    def showing(self, start: int, room: int) -> Note:
        piece = TextSlice.of(self.body or "", start, room)
        return self.model_copy(
            update={"body": piece.text, "truncated": piece.truncated, "length": piece.length}
        )


class KnowledgeFolder(ApiModel):
    id: str
    name: str = ""
    description: str | None = None


class KnowledgeBody(ApiModel):
    folders: ListOrNull[KnowledgeFolder] = []
    knowledge: ListOrNull[Note]


class KnowledgeBase:
    """All notes and folders of a key, as they were a moment ago."""

    def __init__(self, answer: KnowledgeBody) -> None:
        self.folders = answer.folders
        self.notes = answer.knowledge
        self._folder_names = {folder.id: folder.name for folder in answer.folders}

    def folder_of(self, note: Note) -> str | None:
        return self._folder_names.get(note.parent_folder_id or "", note.parent_folder_id)

    def markdown(self, note: Note) -> str:
        head = facts(
            recalled_when=note.trigger_description,
            folder=self.folder_of(note),
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
        return [
            Candidate(name)
            for name in sorted(
                {note.pinned_repo for note in self.notes if note.pinned_repo} - {"all"}
            )
        ]
