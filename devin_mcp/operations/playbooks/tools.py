"""Playbooks as tools: list, read, create, update and delete reusable instructions for sessions."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import Field

from devin_mcp.api.models import Acknowledgement
from devin_mcp.api.paging import read_all
from devin_mcp.errors import Invalid, NotFound
from devin_mcp.operations.capabilities import V3, ChoicesRequire, Requires
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, READ, Confirmation, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import FIRST, ListQuery
from devin_mcp.operations.matching import match_one
from devin_mcp.operations.output_schema import OutputSchema, validate_output_schema
from devin_mcp.operations.parameters import NOT_BLANK, FromChar, PlaybookId, is_id
from devin_mcp.operations.partial_update import Change, Clear, RawRecord
from devin_mcp.operations.playbooks.model import (
    Playbook,
    PlaybookDetails,
    PlaybookIndex,
    PlaybookSummary,
    PlaybookWrite,
)
from devin_mcp.operations.results import (
    NO_LIMIT,
    Cursor,
    Next,
    Page,
    Result,
    TextSlice,
    Truncatable,
    build_page,
    json_chars,
    prefix_that_fits,
    rows_of_page,
)
from devin_mcp.settings.toolsets import PLAYBOOKS

ROOM_FOR_HINT = 200

PlaybookName = Annotated[
    str, Field(max_length=500, description="Id, !macro or exact title"), NOT_BLANK
]
PlaybookTitle = Annotated[str, Field(max_length=500, description="Its title"), NOT_BLANK]
PlaybookText = Annotated[str, Field(max_length=500_000, description="The instructions"), NOT_BLANK]
PlaybookMacro = Annotated[str, Field(max_length=100, description="Shortcut as !deploy")]
PlaybookSchema = Annotated[OutputSchema, Field(description="JSON Schema (draft 7)"), Requires(V3)]
READ_PERMISSION = "UseDevinSessions or ManageOrgPlaybooks (in older roles ManageAccountPlaybooks)"
WRITE_PERMISSION = "ManageOrgPlaybooks (in older roles ManageAccountPlaybooks)"
"""The reference and the role editor disagree by age (v3-additions.md §2)."""


class Playbooks(Page):
    rows = "playbooks"
    hint = "Read one with devin_get_playbook. Use it in devin_delegate_task."
    empty = "No playbook here. Write one with devin_create_playbook."

    playbooks: list[PlaybookSummary]


@operation(
    READ,
    PLAYBOOKS,
    v1="GET /v1/playbooks",
    v3="GET /playbooks?first=200",
    permission=READ_PERMISSION,
)
async def list_playbooks(
    ctx: Context,
    body: Annotated[bool, Field(description="Show bodies too")] = False,
    cursor: Cursor | None = None,
) -> Truncatable[Playbooks]:
    """List playbooks, the team's reusable instructions for tasks: id, title, macro."""
    query = ListQuery("devin_list_playbooks", {})
    start = query.decode(cursor)
    index = await playbook_index(ctx, fresh=start == FIRST)
    playbooks, has_more = rows_of_page(index.playbooks, start)
    rows = [
        PlaybookSummary.model_construct(
            playbook_id=playbook.playbook_id,
            title=playbook.title,
            macro=playbook.macro,
            body=playbook.body if body else None,
        )
        for playbook in playbooks
    ]
    return build_page(Playbooks, rows, query, start, has_more=has_more)


async def playbook_index(ctx: Context, *, fresh: bool = False) -> PlaybookIndex:
    """The cached playbooks, or with `fresh` those of a new request."""
    reading = ctx if fresh else ctx.detached()

    async def load() -> PlaybookIndex:
        return PlaybookIndex(await read_all(reading, list_playbooks, Playbook))

    return await ctx.cache.get(ctx.key.tenant, "playbooks", load, fresh=fresh)


async def resolve_playbook(ctx: Context, name: str) -> str:
    """From an id, `!macro` or unambiguous title to the id. Raises NotFound or Invalid."""
    candidates = (await playbook_index(ctx, fresh=True)).candidates
    try:
        return await match_one(candidates, name, "playbook", "devin_list_playbooks")
    except NotFound:
        if is_id(name):
            with suppress(NotFound, Invalid):  # the list has the team's playbooks only (v1.md §7)
                return (await read_playbook(ctx, name)).playbook_id
        raise


async def read_playbook(ctx: Context, playbook_id: str) -> Playbook:
    """Read a playbook. Raises DevinError."""
    return await ctx.send(get_playbook, Playbook, playbook_id=playbook_id)


class PlaybookView(PlaybookDetails, Result):
    """One playbook with its body, or a part of it."""

    next: Next


@operation(
    READ,
    PLAYBOOKS,
    v1="GET /v1/playbooks/{playbook_id}",
    v3="GET /playbooks/{playbook_id}",
    permission=READ_PERMISSION,
)
async def get_playbook(
    ctx: Context, playbook_id: PlaybookName, from_char: FromChar = 0
) -> Truncatable[PlaybookView]:
    """Read the steps of a playbook."""
    return _playbook_view(await _read_by_name(ctx, playbook_id), from_char)


async def _read_by_name(ctx: Context, name: str) -> Playbook:
    """By its id, `!macro` or title. Raises NotFound, in Devin's words for an id, or Invalid."""
    unknown_id: NotFound | None = None
    if is_id(name):
        try:
            return await read_playbook(ctx, name)
        except NotFound as error:
            unknown_id = error
    candidates = (await playbook_index(ctx, fresh=True)).candidates
    try:
        playbook_id = await match_one(candidates, name, "playbook", "devin_list_playbooks")
    except NotFound as error:
        raise unknown_id or error from None
    return await read_playbook(ctx, playbook_id)


def _playbook_view(playbook: Playbook, start: int) -> Truncatable[PlaybookView]:
    body = playbook.body or ""
    summary = playbook.model_dump(include=set(PlaybookDetails.model_fields))

    def build(limit: int) -> PlaybookView:
        if limit >= NO_LIMIT:
            return make(len(body))
        schema_chars = len(json.dumps(playbook.structured_output_schema))
        if schema_chars > limit // 2:
            summary["structured_output_schema"] = {"truncated": True, "length": schema_chars}
        room = limit - json_chars(make(0)) - ROOM_FOR_HINT
        return make(len(prefix_that_fits(body[start:], room)))

    def make(room: int) -> PlaybookView:
        part = TextSlice.of(body, start, room)
        end = start + len(part.text)
        text = "Use it in devin_delegate_task."
        if end < len(body):
            text = f"The body was cut: devin_get_playbook with from_char={end} reads it on. {text}"
        update = {"body": part.text, "truncated": part.truncated, "length": part.length}
        return PlaybookView(**(summary | update), next=text)

    return Truncatable(build)


class PlaybookSaved(Result):
    playbook_id: str
    title: str
    macro: str | None = None
    next: Next


IF_REPLY_LOST = "The playbook may exist. Look with devin_list_playbooks before creating it again."


@operation(
    CREATE,
    PLAYBOOKS,
    v1="POST /v1/playbooks",
    v3="POST /playbooks",
    permission=WRITE_PERMISSION,
    if_reply_lost=IF_REPLY_LOST,
)
async def create_playbook(
    ctx: Context,
    title: PlaybookTitle,
    body: PlaybookText,
    macro: PlaybookMacro | None = None,
    structured_output_schema: PlaybookSchema | None = None,
) -> PlaybookSaved:
    """Create a playbook, a reusable procedure."""
    fields: dict[str, Any] = {"title": title, "body": body, "macro": macro}
    if structured_output_schema is not None:
        fields["structured_output_schema"] = await validate_output_schema(structured_output_schema)
    playbook = await ctx.send(create_playbook, PlaybookSummary, body=fields)
    return _saved(playbook.playbook_id, playbook.title, playbook.macro)


@operation(
    CHANGE,
    PLAYBOOKS,
    v1="PUT /v1/playbooks/{playbook_id}",
    v3="PUT /playbooks/{playbook_id}",
    permission=WRITE_PERMISSION,
    search_hint="revise, correct or improve its steps",
)
async def update_playbook(
    ctx: Context,
    playbook_id: PlaybookId,
    title: PlaybookTitle | None = None,
    body: PlaybookText | None = None,
    macro: PlaybookMacro | None = None,
    structured_output_schema: PlaybookSchema | None = None,
    clear: Annotated[
        Clear[Literal["macro", "structured_output_schema"]],
        ChoicesRequire(V3, ("structured_output_schema",)),
    ]
    | None = None,
) -> PlaybookSaved:
    """Edit a playbook. What is not given stays. Never send a cut body back."""
    values = {
        "title": title,
        "body": body,
        "macro": macro,
        "structured_output_schema": await validate_output_schema(structured_output_schema),
    }
    change = Change(values, clear or ())
    record = await ctx.send(get_playbook, RawRecord, playbook_id=playbook_id)
    record.check_id(playbook_id, "playbook_id")
    playbook = change.merge(record, PlaybookWrite, ctx.key.api)
    await ctx.send(update_playbook, Acknowledgement, body=playbook, playbook_id=playbook_id)
    return _saved(playbook_id, playbook.title, playbook.macro)


def _saved(playbook_id: str, title: str, macro: str | None) -> PlaybookSaved:
    text = "Read it with devin_get_playbook. Use it in devin_delegate_task."
    return PlaybookSaved(playbook_id=playbook_id, title=title, macro=macro, next=text)


class PlaybookDeleted(Result):
    playbook_id: str
    deleted: bool
    next: Next


async def _title_of_playbook(ctx: Context, playbook_id: str) -> str:
    return (await read_playbook(ctx, playbook_id)).title


@operation(
    DESTROY,
    PLAYBOOKS,
    v1="DELETE /v1/playbooks/{playbook_id}",
    v3="DELETE /playbooks/{playbook_id}",
    permission=WRITE_PERMISSION,
    confirmation=Confirmation(
        "Delete the playbook",
        "The team can no longer use it, and its macro becomes free.",
        "playbook_id",
        _title_of_playbook,
    ),
)
async def delete_playbook(ctx: Context, playbook_id: PlaybookId) -> PlaybookDeleted:
    """Delete a playbook. Another one can then use its macro."""
    await ctx.send(delete_playbook, Acknowledgement, playbook_id=playbook_id)
    return PlaybookDeleted(
        playbook_id=playbook_id, deleted=True, next="See what is left with devin_list_playbooks."
    )
