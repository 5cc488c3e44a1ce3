"""Listing knowledge: filters, pages, one note with its whole body, and names resolved to ids."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from devin_mcp.api.endpoint import Lookup
from devin_mcp.api.paging import read_all
from devin_mcp.errors import Invalid, NotFound
from devin_mcp.operations.capabilities import V3, Requires
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.knowledge.model import (
    FolderList,
    KnowledgeBase,
    KnowledgeFolder,
    KnowledgeList,
    Note,
)
from devin_mcp.operations.list_cursor import FIRST, ListQuery, Position
from devin_mcp.operations.markdown import one_line
from devin_mcp.operations.matching import match_one
from devin_mcp.operations.parameters import FolderId, FromChar, Id
from devin_mcp.operations.results import (
    NO_LIMIT,
    Cursor,
    Page,
    Truncatable,
    build_page,
    count_that_fit,
    json_chars,
    prefix_that_fits,
    rows_of_page,
)
from devin_mcp.settings.toolsets import KNOWLEDGE

SNIPPET_CHARS = 200
ROOM_FOR_HINT = 40

MAX_SINGLE_READS = 16
"""Notes that are read one by one rather than as part of the whole list."""
READ_PERMISSION = "UseDevinSessions or ManageOrgKnowledge (in older roles ManageAccountKnowledge)"
"""The reference and the role editor disagree by age (v3-additions.md §2)."""

BodyPart = Literal["none", "snippet", "full"]


@dataclass(frozen=True)
class NoteFilter:
    """Which notes to list; None does not restrict."""

    search: str | None = None
    folder_id: str | None = None
    pinned_repo: str | None = None
    note_ids: Sequence[str] | None = None

    def apply(self, notes: Sequence[Note]) -> list[Note]:
        """The notes that match. Raises NotFound for unknown ids."""
        words = (self.search or "").lower().split()
        if self.note_ids is not None:
            existing_ids = {note.note_id for note in notes}
            missing = [note_id for note_id in self.note_ids if note_id not in existing_ids]
            if missing:
                raise NotFound(f"No such note: {', '.join(missing[:5])}.")
        return [
            note
            for note in notes
            if (self.note_ids is None or note.note_id in self.note_ids)
            and self.folder_id in {None, note.folder_id}
            and self.pinned_repo in {None, note.pinned_repo}
            and note.contains(words)
        ]


class Knowledge(Page):
    rows = "knowledge"
    hint = "Read bodies with devin_list_knowledge, note_ids and body=full."
    empty = "No note matches. Try fewer words, or write one with devin_create_knowledge."

    matching: int = Field(description="Notes that match, on all pages")
    knowledge: list[Note]
    folders: list[KnowledgeFolder] | None = None
    folders_left_out: int | None = Field(None, description="Folders that did not fit")


LIST_FOLDERS = Lookup.declare(
    "list_folders", v3="GET /knowledge/folders", permission=READ_PERMISSION
)
GET_NOTE = Lookup.declare(
    "get_note", v3="GET /knowledge/notes/{note_id}", permission=READ_PERMISSION
)


@operation(
    READ,
    KNOWLEDGE,
    v1="GET /v1/knowledge",
    v3="GET /knowledge/notes?first=200",
    permission=READ_PERMISSION,
)
async def list_knowledge(
    ctx: Context,
    search: Annotated[str | None, Field(max_length=200, description="Words to search for")] = None,
    folder_id: FolderId | None = None,
    pinned_repo: Annotated[
        str | None, Field(max_length=300, description="Only pinned to this"), Requires(V3)
    ] = None,
    note_ids: Annotated[
        list[Id] | None, Field(min_length=1, max_length=200, description="Only these notes")
    ] = None,
    body: Annotated[BodyPart, Field(description="How much of each body")] = "none",
    from_char: FromChar = 0,
    cursor: Cursor | None = None,
) -> Truncatable[Knowledge]:
    """List or search what Devin knows: the team's notes, without bodies unless asked."""
    if from_char and (body != "full" or note_ids is None or len(note_ids) != 1):
        raise Invalid("from_char needs body=full and exactly one id in note_ids.")
    note_filter = NoteFilter(search, folder_id, pinned_repo, note_ids)
    query = ListQuery("devin_list_knowledge", asdict(note_filter))
    start = query.decode(cursor)
    is_first = start == FIRST
    found = await find_notes(ctx, note_filter, fresh=is_first and not from_char)
    if body == "full" and note_ids is not None and len(found.notes) == 1:
        return _one_note(found.notes[0], from_char, query)
    folders = found.folders if is_first and note_filter == NoteFilter() else None
    notes, has_more = rows_of_page(found.notes, start)
    rows = [_with_body(note, body) for note in notes]
    return _knowledge_page(rows, query, start, len(found.notes), has_more, folders)


async def find_notes(ctx: Context, note_filter: NoteFilter, *, fresh: bool) -> KnowledgeBase:
    """The notes that match. v3 searches itself; v1 returns all notes. Raises NotFound."""
    ids = note_filter.note_ids
    if ids is not None and ctx.has(GET_NOTE) and len(ids) <= MAX_SINGLE_READS:
        read = await asyncio.gather(*(_find_note(ctx, note_id) for note_id in ids))
        return KnowledgeBase(note_filter.apply([note for note in read if note is not None]), [])
    if note_filter == NoteFilter() or ids is not None or not ctx.has(LIST_FOLDERS):
        knowledge = await knowledge_base(ctx, fresh=fresh)
        return KnowledgeBase(note_filter.apply(knowledge.notes), knowledge.folders)
    query = {
        "search": note_filter.search,
        "folder_path": await _folder_path(ctx, note_filter.folder_id),
        "pinned_repo": note_filter.pinned_repo,
    }
    notes = await read_all(ctx, list_knowledge, Note, query=query)
    return KnowledgeBase(replace(note_filter, search=None).apply(notes), [])


async def _folder_path(ctx: Context, folder_id: str | None) -> str | None:
    if folder_id is None:
        return None
    for folder in (await ctx.send(LIST_FOLDERS, FolderList)).folders:
        if folder.folder_id == folder_id:
            return folder.path
    raise NotFound("There is no folder with this id.")


async def _find_note(ctx: Context, note_id: str) -> Note | None:
    try:
        return await read_note(ctx, note_id)
    except NotFound:
        return None


async def read_note(ctx: Context, note_id: str) -> Note:
    """One note with its whole body. Raises NotFound."""
    if ctx.has(GET_NOTE):
        return await ctx.send(GET_NOTE, Note, note_id=note_id)
    for fresh in (False, True):  # it may have been written a moment ago
        note = (await knowledge_base(ctx, fresh=fresh)).find(note_id)
        if note is not None:
            return note
    raise NotFound("Devin does not know that note id.")


async def knowledge_base(ctx: Context, *, fresh: bool = False) -> KnowledgeBase:
    """The cached notes, or with `fresh` those of a new request."""
    reading = ctx if fresh else ctx.detached()

    async def load() -> KnowledgeBase:
        if not ctx.has(LIST_FOLDERS):
            listed = await reading.send(list_knowledge, KnowledgeList)
            return KnowledgeBase(listed.knowledge, listed.folders)
        notes, listed_folders = await asyncio.gather(
            read_all(reading, list_knowledge, Note), reading.send(LIST_FOLDERS, FolderList)
        )
        return KnowledgeBase(notes, listed_folders.folders)

    return await ctx.cache.get(ctx.key.tenant, "knowledge", load, fresh=fresh)


async def resolve_notes(ctx: Context, names: Sequence[str]) -> list[str]:
    """The ids of notes given by id or by an unambiguous name. Raises NotFound or Invalid."""
    candidates = (await knowledge_base(ctx, fresh=True)).candidates if names else []
    ids = [await match_one(candidates, name, "note", "devin_list_knowledge") for name in names]
    return list(dict.fromkeys(ids))


def _with_body(note: Note, part: BodyPart) -> Note:
    if part == "none":
        return note.model_copy(update={"body": None})
    return note.slice(0, SNIPPET_CHARS if part == "snippet" else len(note.body or ""))


def _knowledge_page(
    rows: list[Note],
    query: ListQuery,
    start: Position,
    matching: int,
    has_more: bool,
    folders: list[KnowledgeFolder] | None,
) -> Truncatable[Knowledge]:
    """Folders take at most a third of the room; notes name their folder's id in any case."""

    def build(limit: int) -> Knowledge:
        page_folders = folders
        if folders and limit < NO_LIMIT:
            page_folders = folders[: count_that_fit(folders, limit // 3)]
        left_out = len(folders or ()) - len(page_folders or ())
        page = build_page(
            Knowledge,
            rows,
            query,
            start,
            has_more=has_more,
            matching=matching,
            folders=page_folders,
            folders_left_out=left_out or None,
        )
        return page.build(limit)

    return Truncatable(build)


def _one_note(note: Note, start: int, query: ListQuery) -> Truncatable[Knowledge]:
    """One note with its body from character `start` on, as much as fits into a result."""
    body = note.body or ""

    def build(limit: int) -> Knowledge:
        if limit >= NO_LIMIT:
            return make(note, len(body))
        shortened = note
        if json_chars(note.slice(0, 0)) > limit // 2:
            trigger = one_line(note.trigger)
            shortened = note.model_copy(update={"trigger": trigger})
        room = limit - json_chars(make(shortened, 0)) - ROOM_FOR_HINT
        return make(shortened, len(prefix_that_fits(body[start:], room)))

    def make(shortened: Note, room: int) -> Knowledge:
        part = shortened.slice(start, room)
        page = build_page(Knowledge, [part], query, FIRST, matching=1).build(NO_LIMIT)
        end = start + len(part.body or "")
        if end < len(body):
            page.next = (
                f"The body was cut: devin_list_knowledge with note_ids=[{note.note_id}], "
                f"body=full, from_char={end} reads it on."
            )
        return page

    return Truncatable(build)
