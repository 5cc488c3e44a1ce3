"""Knowledge: notes that Devin recalls when their trigger fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from devin_mcp.api.client import ApiCall
from devin_mcp.api.models import Acknowledgement, FolderId, Id, NoteId
from devin_mcp.errors import Invalid, NotFound
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, READ, Confirmation, operation
from devin_mcp.operations.context import House
from devin_mcp.operations.knowledge.model import KnowledgeBase, KnowledgeBody, KnowledgeFolder, Note
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.markdown import CELL, one_line, table
from devin_mcp.operations.matching import (
    Candidate,
    ResourceContent,
    ResourceEntry,
    completes,
    match_one,
    resource,
)
from devin_mcp.operations.partial_update import RawNotes, kept
from devin_mcp.operations.results import (
    ROOM_FOR_NEXT,
    Cursor,
    FromChar,
    Next,
    Page,
    Result,
    count_that_fit,
    from_position,
    json_size,
    prefix_that_fits,
)

SNIPPET = 200

Name = Annotated[str, Field(min_length=1, max_length=500, description="Its name")]
Body = Annotated[str, Field(max_length=500_000, description="What Devin should know, markdown")]
Trigger = Annotated[str, Field(max_length=5_000, description="When Devin should recall it")]
Folder = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)?$",
        max_length=128,
        description="Folder id; empty = none",
    ),
]
Macro = Annotated[str, Field(max_length=100, description="Shortcut; empty = none")]
PinnedRepo = Annotated[str, Field(max_length=300, description="owner/repo, or all; empty = none")]


class Knowledge(Page):
    rows = "knowledge"
    hint = "Read bodies with devin_list_knowledge, note_ids and body=full."
    empty = "No note matches. Try fewer words, or write one with devin_create_knowledge."

    matching: int = Field(description="Notes that match, on all pages")
    knowledge: list[Note]
    folders: list[KnowledgeFolder] | None = None
    folders_left_out: int | None = Field(None, description="Folders that did not fit")

    def within(self, limit: int) -> Knowledge:
        """Folders take at most a third of the room; notes name their folder's id in any case."""
        if self.folders:
            kept = self.folders[: count_that_fit(self.folders, limit // 3)]
            self.folders_left_out = len(self.folders) - len(kept) or None
            self.folders = kept
        return super().within(limit)


class OneNote(Knowledge):
    """The whole of one note, cut to what fits."""

    _whole: Note = PrivateAttr()
    _start: int = PrivateAttr(0)

    @classmethod
    def reading(cls, note: Note, start: int, room: int) -> OneNote:
        shown = note.showing(start, room)
        end = start + len(shown.body or "")
        page = cls.of(
            [shown], ListQuery("devin_list_knowledge", {}), from_position(0, 1), matching=1
        )
        if end < len(note.body or ""):
            page.next = f"The body was cut: devin_list_knowledge with note_ids=[{note.id}], body=full, from_char={end} reads it on."
        page._whole, page._start = note, start
        return page

    def within(self, limit: int) -> OneNote:
        whole = self._whole
        if json_size(whole.showing(0, 0)) > limit // 2:
            whole = whole.model_copy(
                update={"trigger_description": one_line(whole.trigger_description)}
            )
        room = limit - json_size(self.reading(whole, self._start, 0)) - ROOM_FOR_NEXT // 10
        return self.reading(
            whole, self._start, len(prefix_that_fits((whole.body or "")[self._start :], room))
        )


@operation(READ, "knowledge", v1="GET /v1/knowledge")
async def list_knowledge(
    devin: ApiCall,
    house: House,
    search: Annotated[
        str | None, Field(max_length=200, description="Words that must all occur")
    ] = None,
    folder_id: FolderId | None = None,
    note_ids: Annotated[
        list[Id] | None, Field(min_length=1, max_length=200, description="Only these notes")
    ] = None,
    body: Annotated[
        Literal["none", "snippet", "full"], Field(description="How much of each body")
    ] = "none",
    from_char: FromChar = 0,
    cursor: Cursor | None = None,
) -> Knowledge:
    """Notes and folders of the organization, as many as fit, without bodies unless asked.

    from_char reads one long body on (one note id, body=full).
    """
    if from_char and (body != "full" or note_ids is None or len(note_ids) != 1):
        raise Invalid("from_char needs body=full and exactly one id in note_ids.")
    query = ListQuery(
        "devin_list_knowledge",
        {"search": search, "folder_id": folder_id, "note_ids": note_ids},
    )
    start = query.decode(cursor)
    answer = await library(devin, house, fresh=not (start or from_char))
    found = answer.notes
    if note_ids is not None:
        known = {note.id for note in found}
        if missing := [note_id for note_id in note_ids if note_id not in known]:
            raise NotFound(f"No such note: {', '.join(missing[:5])}.")
        found = [note for note in found if note.id in set(note_ids)]
    if folder_id is not None:
        found = [note for note in found if note.parent_folder_id == folder_id]
    if search:
        found = [note for note in found if note.matches(search.lower().split())]
    if body == "full" and note_ids is not None and len(found) == 1:
        return OneNote.reading(found[0], from_char, len(found[0].body or ""))
    rows = [_shown(note, body) for note in found[start:]]
    narrowed = note_ids is not None or search or folder_id is not None or start
    folders = None if narrowed else answer.folders
    return Knowledge.of(
        rows, query, from_position(start, len(rows)), matching=len(found), folders=folders
    )


async def library(devin: ApiCall, house: House, *, fresh: bool = False) -> KnowledgeBase:
    """What is kept of the notes, read again when it is too old or `fresh` is asked for."""
    listing = list_knowledge.at(devin if fresh else devin.apart())

    async def load() -> KnowledgeBase:
        return KnowledgeBase(await listing.send(KnowledgeBody))

    return await house.cache.get(devin.owner, "knowledge", load, fresh=fresh)


async def resolve_notes(devin: ApiCall, house: House, said: Sequence[str]) -> list[str]:
    """The ids of the notes that are meant, by id or by a name that just one has."""
    candidates = (await library(devin, house, fresh=True)).candidates if said else []
    return list(
        dict.fromkeys(match_one(candidates, one, "note", "devin_list_knowledge") for one in said)
    )


def _shown(note: Note, body: str) -> Note:
    if body == "none":
        return note.model_copy(update={"body": None})
    return note.showing(0, SNIPPET if body == "snippet" else len(note.body or ""))


class NoteSaved(Result):
    id: str
    name: str
    trigger_description: str | None = None
    parent_folder_id: str | None = None
    macro: str | None = None
    pinned_repo: str | None = None
    next: Next


IF_REPLY_LOST = "The note may exist. Look with devin_list_knowledge before creating it again."


@operation(CREATE, "knowledge", v1="POST /v1/knowledge", if_lost=IF_REPLY_LOST)
async def create_knowledge(
    devin: ApiCall,
    name: Name,
    body: Body,
    trigger_description: Trigger,
    parent_folder_id: Folder | None = None,
    macro: Macro | None = None,
    pinned_repo: PinnedRepo | None = None,
) -> NoteSaved:
    """The new note's id. Every later session recalls it when its trigger fits."""
    note: dict[str, Any] = {"name": name, "body": body, "trigger_description": trigger_description}
    optional = {"parent_folder_id": parent_folder_id, "macro": macro, "pinned_repo": pinned_repo}
    return _saved(
        await devin.send(Note, body=note | {key: value for key, value in optional.items() if value})
    )


@operation(CHANGE, "knowledge", v1="PUT /v1/knowledge/{note_id}")
async def update_knowledge(
    devin: ApiCall,
    note_id: NoteId,
    name: Name | None = None,
    body: Body | None = None,
    trigger_description: Trigger | None = None,
    parent_folder_id: Folder | None = None,
    macro: Macro | None = None,
    pinned_repo: PinnedRepo | None = None,
) -> NoteSaved:
    """The note as saved. What is not given stays, an empty text clears. Never send a cut body back."""
    given = {
        "name": name,
        "body": body,
        "trigger_description": trigger_description,
        "parent_folder_id": parent_folder_id,
        "macro": macro,
        "pinned_repo": pinned_repo,
    }
    if all(value is None for value in given.values()):
        raise Invalid("Nothing to change: give at least one field.")
    notes = (
        await list_knowledge.at(devin).send(RawNotes)
    ).knowledge  # there is no GET for one note (v1.md §2)
    now = next((note for note in notes if note.id == note_id), None)
    if now is None:
        raise NotFound("Devin does not know that note id.")
    whole = kept(now, given, needed={"name", "body"})
    return _saved(
        await devin.send(
            Note,
            body=whole | {"trigger_description": whole["trigger_description"] or ""},
            note_id=note_id,
        )
    )


def _saved(note: Note) -> NoteSaved:
    facts = {key: getattr(note, key) for key in NoteSaved.model_fields if key != "next"}
    return NoteSaved(**facts, next="Read it with devin_list_knowledge, note_ids and body=full.")


class NoteDeleted(Result):
    note_id: str
    deleted: bool
    next: Next


async def name_of(devin: ApiCall, house: House, note_id: str) -> str | None:
    return next(
        (note.name for note in (await library(devin, house)).notes if note.id == note_id), None
    )


DELETING = Confirmation(
    "Delete the note", "Devin will not recall it any more, and its text is gone for good.", name_of
)


@operation(DESTROY, "knowledge", v1="DELETE /v1/knowledge/{note_id}", stake=DELETING)
async def delete_knowledge(devin: ApiCall, note_id: NoteId) -> NoteDeleted:
    """Confirmation that the note is gone for good."""
    await devin.send(Acknowledgement, note_id=note_id)
    return NoteDeleted(
        note_id=note_id, deleted=True, next="See what is left with devin_list_knowledge."
    )


async def entries(devin: ApiCall, house: House) -> list[ResourceEntry]:
    return (await library(devin, house)).entries


@resource("devin://knowledge", tool=list_knowledge)
async def all_knowledge(devin: ApiCall, house: House) -> ResourceContent:
    """The organization's notes as one table, folder by folder."""
    notes = await library(devin, house)
    rows = sorted(
        (
            notes.folder_of(note) or "",
            one_line(note.name, CELL),
            one_line(note.trigger_description, CELL),
            note.id,
        )
        for note in notes.by_name
    )
    folders, unnamed = table(
        ("Folder", "Id"),
        sorted((one.name, one.id) for one in notes.folders),
        house.result_limit // 3,
    )
    lines, missing = table(
        ("Folder", "Name", "Recalled when", "Id"), rows, house.result_limit - len(folders)
    )
    text = f"# Knowledge\n\n{lines}" if rows else "# Knowledge\n\nThere is none yet."
    if notes.folders:
        text += f"\n\n{folders}"
    if unnamed:
        text += f"\n\n{unnamed} more folders do not fit here."
    if missing:
        return ResourceContent(
            text, f"{missing} more do not fit here. Search them with devin_list_knowledge."
        )
    return ResourceContent(
        text,
        "Read one at devin://knowledge/{id}." if rows else "Write one with devin_create_knowledge.",
    )


@resource("devin://knowledge/{note_id}", tool=list_knowledge, entries=entries)
async def knowledge(devin: ApiCall, house: House, note_id: NoteId) -> ResourceContent:
    """One note as markdown, with its name, trigger, folder and pinned repository on top."""
    notes = await library(devin, house)
    note = next((note for note in notes.notes if note.id == note_id), None)
    if note is None:
        raise NotFound("Devin does not know that note id.")
    return ResourceContent(notes.markdown(note))


@completes("note_id", tool=list_knowledge)
async def known_notes(devin: ApiCall, house: House, filled: Mapping[str, str]) -> list[Candidate]:  # noqa: ARG001
    return (await library(devin, house)).candidates


@completes("repository", tool=list_knowledge)
async def repositories_pinned(
    devin: ApiCall, house: House, filled: Mapping[str, str]
) -> list[Candidate]:
    return (await library(devin, house)).repositories
