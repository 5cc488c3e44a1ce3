"""Listing knowledge: filters, pages, one note with its whole body, and names resolved to ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from devin_mcp.errors import Invalid, NotFound
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.knowledge.model import (
    KnowledgeBase,
    KnowledgeFolder,
    KnowledgeList,
    Note,
)
from devin_mcp.operations.list_cursor import ListQuery
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
)

SNIPPET_CHARS = 200
ROOM_FOR_HINT = 40

BodyPart = Literal["none", "snippet", "full"]


class Knowledge(Page):
    rows = "knowledge"
    hint = "Read bodies with devin_list_knowledge, note_ids and body=full."
    empty = "No note matches. Try fewer words, or write one with devin_create_knowledge."

    matching: int = Field(description="Notes that match, on all pages")
    knowledge: list[Note]
    folders: list[KnowledgeFolder] | None = None
    folders_left_out: int | None = Field(None, description="Folders that did not fit")


@operation(READ, "knowledge", v1="GET /v1/knowledge")
async def list_knowledge(
    ctx: Context,
    search: Annotated[
        str | None, Field(max_length=200, description="Words that must all occur")
    ] = None,
    folder_id: FolderId | None = None,
    note_ids: Annotated[
        list[Id] | None, Field(min_length=1, max_length=200, description="Only these notes")
    ] = None,
    body: Annotated[BodyPart, Field(description="How much of each body")] = "none",
    from_char: FromChar = 0,
    cursor: Cursor | None = None,
) -> Truncatable[Knowledge]:
    """List the organization's notes and folders, as many as fit, without bodies unless asked.

    from_char reads one long body on (one note id, body=full).
    """
    if from_char and (body != "full" or note_ids is None or len(note_ids) != 1):
        raise Invalid("from_char needs body=full and exactly one id in note_ids.")
    filters = {"search": search, "folder_id": folder_id, "note_ids": note_ids}
    query = ListQuery("devin_list_knowledge", filters)
    start = query.decode(cursor)
    knowledge = await knowledge_base(ctx, fresh=not (start or from_char))
    notes = _filter(knowledge, search, folder_id, note_ids)
    if body == "full" and note_ids is not None and len(notes) == 1:
        return _one_note(notes[0], from_char, query)
    is_filtered = note_ids is not None or search or folder_id is not None
    folders = None if is_filtered or start else knowledge.folders
    rows = [_with_body(note, body) for note in notes[start:]]
    return _knowledge_page(rows, query, start, len(notes), folders)


async def knowledge_base(ctx: Context, *, fresh: bool = False) -> KnowledgeBase:
    """The cached notes, or with `fresh` those of a new request."""
    reading = ctx if fresh else ctx.detached()

    async def load() -> KnowledgeBase:
        return KnowledgeBase(await reading.send(list_knowledge, KnowledgeList))

    return await ctx.cache.get(ctx.key.fingerprint, "knowledge", load, fresh=fresh)


async def resolve_notes(ctx: Context, names: Sequence[str]) -> list[str]:
    """The ids of notes given by id or by an unambiguous name. Raises NotFound or Invalid."""
    candidates = (await knowledge_base(ctx, fresh=True)).candidates if names else []
    ids = [match_one(candidates, name, "note", "devin_list_knowledge") for name in names]
    return list(dict.fromkeys(ids))


def _filter(
    knowledge: KnowledgeBase,
    search: str | None,
    folder_id: str | None,
    note_ids: list[str] | None,
) -> list[Note]:
    """The notes that match every filter. Raises NotFound for unknown ids."""
    notes = knowledge.notes
    if note_ids is not None:
        existing_ids = {note.id for note in notes}
        if missing := [note_id for note_id in note_ids if note_id not in existing_ids]:
            raise NotFound(f"No such note: {', '.join(missing[:5])}.")
        notes = [note for note in notes if note.id in set(note_ids)]
    if folder_id is not None:
        notes = [note for note in notes if note.parent_folder_id == folder_id]
    if search:
        words = search.lower().split()
        notes = [note for note in notes if note.contains(words)]
    return notes


def _with_body(note: Note, part: BodyPart) -> Note:
    if part == "none":
        return note.model_copy(update={"body": None})
    return note.slice(0, SNIPPET_CHARS if part == "snippet" else len(note.body or ""))


def _knowledge_page(
    rows: list[Note],
    query: ListQuery,
    start: int,
    matching: int,
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
            trigger = one_line(note.trigger_description)
            shortened = note.model_copy(update={"trigger_description": trigger})
        room = limit - json_chars(make(shortened, 0)) - ROOM_FOR_HINT
        return make(shortened, len(prefix_that_fits(body[start:], room)))

    def make(page_folders: Note, room: int) -> Knowledge:
        part = page_folders.slice(start, room)
        page = build_page(Knowledge, [part], query, 0, matching=1).build(NO_LIMIT)
        end = start + len(part.body or "")
        if end < len(body):
            page.next = (
                f"The body was cut: devin_list_knowledge with note_ids=[{note.id}], body=full, "
                f"from_char={end} reads it on."
            )
        return page

    return Truncatable(build)
