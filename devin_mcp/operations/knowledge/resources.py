"""Knowledge as resources and completions: all notes as a table, one note as markdown."""

from __future__ import annotations

from collections.abc import Mapping

from devin_mcp.errors import NotFound
from devin_mcp.operations.browsing import Listing, ResourceContent, completes, resource
from devin_mcp.operations.context import Context
from devin_mcp.operations.knowledge.listing import knowledge_base, list_knowledge
from devin_mcp.operations.markdown import MAX_CELL_CHARS, one_line, table
from devin_mcp.operations.matching import Candidate
from devin_mcp.operations.parameters import NoteId


@resource("devin://knowledge", tool=list_knowledge)
async def all_knowledge(ctx: Context) -> ResourceContent:
    """The organization's notes as one table, folder by folder."""
    knowledge = await knowledge_base(ctx)
    limit = ctx.policy.result_limit
    rows = sorted(
        (
            knowledge.folder_name(note) or "",
            one_line(note.name, MAX_CELL_CHARS),
            one_line(note.trigger, MAX_CELL_CHARS),
            note.note_id,
        )
        for note in knowledge.by_name
    )
    folder_rows = sorted((folder.name, folder.folder_id) for folder in knowledge.folders)
    folders, folders_left_out = table(("Folder", "Id"), folder_rows, limit // 3)
    notes, notes_left_out = table(
        ("Folder", "Name", "Recalled when", "Id"), rows, limit - len(folders)
    )
    text = f"# Knowledge\n\n{notes}" if rows else "# Knowledge\n\nThere is none yet."
    if knowledge.folders:
        text += f"\n\n{folders}"
    if folders_left_out:
        text += f"\n\n{folders_left_out} more folders do not fit here."
    if notes_left_out:
        return ResourceContent(
            text, f"{notes_left_out} more do not fit here. Search them with devin_list_knowledge."
        )
    if rows:
        return ResourceContent(text, "Read one at devin://knowledge/{id}.")
    return ResourceContent(text, "Write one with devin_create_knowledge.")


@resource(
    "devin://knowledge/{note_id}",
    tool=list_knowledge,
    entries=Listing(knowledge_base, lambda notes: notes.entries),
)
async def knowledge(ctx: Context, note_id: NoteId) -> ResourceContent:
    """One note as markdown, with its name, trigger, folder and pinned repository on top."""
    notes = await knowledge_base(ctx)
    note = notes.find(note_id)
    if note is None:
        raise NotFound("Devin does not know that note id.")
    return ResourceContent(notes.markdown(note))


@completes("note_id", tool=list_knowledge)
async def note_candidates(ctx: Context, _: Mapping[str, str]) -> list[Candidate]:
    return (await knowledge_base(ctx)).candidates
