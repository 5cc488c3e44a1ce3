"""Knowledge as tools: create, update and delete notes. Listing is in listing.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from devin_mcp.api.models import Acknowledgement
from devin_mcp.errors import NotFound
from devin_mcp.operations.capabilities import V1, V3, ChoicesRequire, Requires
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, Confirmation, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.knowledge.listing import GET_NOTE, list_knowledge, read_note
from devin_mcp.operations.knowledge.model import Note, NoteWrite, RawNotes
from devin_mcp.operations.parameters import NOT_BLANK, FolderId, NoteId
from devin_mcp.operations.partial_update import Change, Clear, RawRecord
from devin_mcp.operations.results import Next, Result
from devin_mcp.settings.toolsets import KNOWLEDGE

NoteName = Annotated[str, Field(max_length=500, description="Its name"), NOT_BLANK]
NoteBody = Annotated[
    str, Field(max_length=500_000, description="What Devin should know"), NOT_BLANK
]
Trigger = Annotated[
    str, Field(max_length=5_000, description="When Devin should recall it"), NOT_BLANK
]
NoteMacro = Annotated[str, Field(max_length=100, description="Shortcut"), Requires(V1)]
PinnedRepo = Annotated[str, Field(max_length=300, description="owner/repo, or all")]
IsEnabled = Annotated[bool, Field(description="Whether Devin recalls it"), Requires(V3)]
OptionalField = Literal["trigger", "folder_id", "macro", "pinned_repo"]
WRITE_PERMISSION = "ManageOrgKnowledge (in older roles ManageAccountKnowledge)"


class NoteSaved(Result):
    note_id: str
    name: str
    trigger: str | None = None
    folder_id: str | None = None
    macro: str | None = None
    pinned_repo: str | None = None
    enabled: Annotated[bool | None, Requires(V3)] = None
    next: Next

    @classmethod
    def of(cls, note: Note) -> NoteSaved:
        fields = {name: getattr(note, name) for name in cls.model_fields if name != "next"}
        return cls(**fields, next="Read it with devin_list_knowledge, note_ids and body=full.")


IF_REPLY_LOST = "The note may exist. Look with devin_list_knowledge before creating it again."


@operation(
    CREATE,
    KNOWLEDGE,
    v1="POST /v1/knowledge",
    v3="POST /knowledge/notes",
    permission=WRITE_PERMISSION,
    if_reply_lost=IF_REPLY_LOST,
)
async def create_knowledge(
    ctx: Context,
    name: NoteName,
    body: NoteBody,
    trigger: Trigger,
    folder_id: FolderId | None = None,
    macro: NoteMacro | None = None,
    pinned_repo: PinnedRepo | None = None,
    enabled: IsEnabled = True,
) -> NoteSaved:
    """Create a knowledge note: teach Devin what sessions remember when its trigger fits."""
    optional = {
        "folder_id": folder_id,
        "macro": macro,
        "pinned_repo": pinned_repo,
        "is_enabled": None if enabled else False,
    }
    given = {field: value for field, value in optional.items() if value is not None}
    note = NoteWrite.model_validate({"name": name, "body": body, "trigger": trigger, **given})
    return NoteSaved.of(await ctx.send(create_knowledge, Note, body=note))


@operation(
    CHANGE,
    KNOWLEDGE,
    v1="PUT /v1/knowledge/{note_id}",
    v3="PUT /knowledge/notes/{note_id}",
    permission=WRITE_PERMISSION,
    search_hint="correct or revise what Devin knows",
)
async def update_knowledge(
    ctx: Context,
    note_id: NoteId,
    name: NoteName | None = None,
    body: NoteBody | None = None,
    trigger: Trigger | None = None,
    folder_id: FolderId | None = None,
    macro: NoteMacro | None = None,
    pinned_repo: PinnedRepo | None = None,
    enabled: IsEnabled | None = None,
    clear: Annotated[Clear[OptionalField], ChoicesRequire(V1, ("macro",))] | None = None,
) -> NoteSaved:
    """Edit a knowledge note. What is not given stays. Never send a cut body back."""
    values = {
        "name": name,
        "body": body,
        "trigger": trigger,
        "folder_id": folder_id,
        "macro": macro,
        "pinned_repo": pinned_repo,
        "is_enabled": enabled,
    }
    change = Change(values, clear or ())
    record = await _read_record(ctx, note_id)
    note = change.merge(record, NoteWrite, ctx.key.api)
    return NoteSaved.of(await ctx.send(update_knowledge, Note, body=note, note_id=note_id))


async def _read_record(ctx: Context, note_id: str) -> RawRecord:
    """The note with every field. v1 has no request for one note (v1.md §2). Raises NotFound."""
    if ctx.has(GET_NOTE):
        record = await ctx.send(GET_NOTE, RawRecord, note_id=note_id)
        record.check_id(note_id, "note_id")
        return record
    for record in (await ctx.send(list_knowledge, RawNotes)).knowledge:
        if record.value("note_id", "id") == note_id:
            return record
    raise NotFound("Devin does not know that note id.")


class NoteDeleted(Result):
    note_id: str
    deleted: bool
    next: Next


async def _title_of_note(ctx: Context, note_id: str) -> str:
    return (await read_note(ctx, note_id)).name


@operation(
    DESTROY,
    KNOWLEDGE,
    v1="DELETE /v1/knowledge/{note_id}",
    v3="DELETE /knowledge/notes/{note_id}",
    permission=WRITE_PERMISSION,
    confirmation=Confirmation(
        "Delete the note",
        "Devin will not recall it any more, and its text is gone for good.",
        "note_id",
        _title_of_note,
    ),
)
async def delete_knowledge(ctx: Context, note_id: NoteId) -> NoteDeleted:
    """Delete a knowledge note for good."""
    await ctx.send(delete_knowledge, Acknowledgement, note_id=note_id)
    return NoteDeleted(
        note_id=note_id, deleted=True, next="See what is left with devin_list_knowledge."
    )
