"""Knowledge as tools: create, update and delete notes. Listing is in listing.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from devin_mcp.api.models import Acknowledgement
from devin_mcp.errors import NotFound
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, Confirmation, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.knowledge.listing import knowledge_base, list_knowledge
from devin_mcp.operations.knowledge.model import Note, RawNotes
from devin_mcp.operations.parameters import NOT_BLANK, FolderId, NoteId
from devin_mcp.operations.partial_update import Change, Clear
from devin_mcp.operations.results import Next, Result

NoteName = Annotated[str, Field(max_length=500, description="Its name"), NOT_BLANK]
NoteBody = Annotated[str, Field(max_length=500_000, description="What Devin should know")]
Trigger = Annotated[str, Field(max_length=5_000, description="When Devin should recall it")]
NoteMacro = Annotated[str, Field(max_length=100, description="Shortcut")]
PinnedRepo = Annotated[str, Field(max_length=300, description="owner/repo, or all")]
OptionalField = Literal["trigger_description", "parent_folder_id", "macro", "pinned_repo"]


class NoteSaved(Result):
    id: str
    name: str
    trigger_description: str | None = None
    parent_folder_id: str | None = None
    macro: str | None = None
    pinned_repo: str | None = None
    next: Next

    @classmethod
    def of(cls, note: Note) -> NoteSaved:
        fields = {name: getattr(note, name) for name in cls.model_fields if name != "next"}
        return cls(**fields, next="Read it with devin_list_knowledge, note_ids and body=full.")


IF_REPLY_LOST = "The note may exist. Look with devin_list_knowledge before creating it again."


@operation(CREATE, "knowledge", v1="POST /v1/knowledge", if_reply_lost=IF_REPLY_LOST)
async def create_knowledge(
    ctx: Context,
    name: NoteName,
    body: NoteBody,
    trigger_description: Trigger,
    parent_folder_id: FolderId | None = None,
    macro: NoteMacro | None = None,
    pinned_repo: PinnedRepo | None = None,
) -> NoteSaved:
    """Create a note. Every later session recalls it when its trigger fits."""
    fields: dict[str, Any] = {
        "name": name,
        "body": body,
        "trigger_description": trigger_description,
    }
    optional = {
        "parent_folder_id": parent_folder_id,
        "macro": macro,
        "pinned_repo": pinned_repo,
    }
    fields |= {field: value for field, value in optional.items() if value is not None}
    return NoteSaved.of(await ctx.send(create_knowledge, Note, body=fields))


@operation(CHANGE, "knowledge", v1="PUT /v1/knowledge/{note_id}")
async def update_knowledge(
    ctx: Context,
    note_id: NoteId,
    name: NoteName | None = None,
    body: NoteBody | None = None,
    trigger_description: Trigger | None = None,
    parent_folder_id: FolderId | None = None,
    macro: NoteMacro | None = None,
    pinned_repo: PinnedRepo | None = None,
    clear: Clear[OptionalField] | None = None,
) -> NoteSaved:
    """Change a note. What is not given stays. Never send a cut body back."""
    values = {
        "name": name,
        "body": body,
        "trigger_description": trigger_description,
        "parent_folder_id": parent_folder_id,
        "macro": macro,
        "pinned_repo": pinned_repo,
    }
    change = Change(values, clear or ())
    # There is no GET for one note (v1.md §2).
    notes = (await ctx.send(list_knowledge, RawNotes)).knowledge
    record = next((note for note in notes if note.id == note_id), None)
    if record is None:
        raise NotFound("Devin does not know that note id.")
    fields = change.merge(record)
    fields["trigger_description"] = fields["trigger_description"] or ""
    return NoteSaved.of(await ctx.send(update_knowledge, Note, body=fields, note_id=note_id))


class NoteDeleted(Result):
    note_id: str
    deleted: bool
    next: Next


async def _title_of_note(ctx: Context, note_id: str) -> str | None:
    note = (await knowledge_base(ctx)).find(note_id)
    return note.name if note else None


@operation(
    DESTROY,
    "knowledge",
    v1="DELETE /v1/knowledge/{note_id}",
    confirmation=Confirmation(
        "Delete the note",
        "Devin will not recall it any more, and its text is gone for good.",
        "note_id",
        _title_of_note,
    ),
)
async def delete_knowledge(ctx: Context, note_id: NoteId) -> NoteDeleted:
    """Delete a note for good."""
    await ctx.send(delete_knowledge, Acknowledgement, note_id=note_id)
    return NoteDeleted(
        note_id=note_id, deleted=True, next="See what is left with devin_list_knowledge."
    )
