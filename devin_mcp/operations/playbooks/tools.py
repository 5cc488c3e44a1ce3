"""Playbooks as tools: list, read, create, update and delete reusable instructions for sessions."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field

from devin_mcp.api.models import Acknowledgement, ItemList
from devin_mcp.errors import Invalid, NotFound
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, READ, Confirmation, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.matching import match_one
from devin_mcp.operations.parameters import NOT_BLANK, FromChar, PlaybookId, is_id
from devin_mcp.operations.partial_update import Change, Clear, RawRecord
from devin_mcp.operations.playbooks.model import Playbook, PlaybookIndex, PlaybookSummary
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
)

ROOM_FOR_HINT = 200

PlaybookTitle = Annotated[str, Field(max_length=500, description="Its title"), NOT_BLANK]
PlaybookText = Annotated[str, Field(max_length=500_000, description="The instructions"), NOT_BLANK]
PlaybookMacro = Annotated[str, Field(max_length=100, description="Shortcut as !deploy")]


class Playbooks(Page):
    rows = "playbooks"
    hint = "Read one with devin_get_playbook. Use it as playbook of devin_delegate_task."
    empty = "No playbook here. Write one with devin_create_playbook."

    playbooks: list[PlaybookSummary]


@operation(READ, "playbooks", v1="GET /v1/playbooks")
async def list_playbooks(
    ctx: Context,
    body: Annotated[bool, Field(description="Show bodies too")] = False,
    cursor: Cursor | None = None,
) -> Truncatable[Playbooks]:
    """List the team's playbooks with id, title and macro."""
    query = ListQuery("devin_list_playbooks", {})
    start = query.decode(cursor)
    index = await playbook_index(ctx, fresh=not start)
    rows = [
        playbook if body else playbook.model_copy(update={"body": None})
        for playbook in index.playbooks[start:]
    ]
    return build_page(Playbooks, rows, query, start)


async def playbook_index(ctx: Context, *, fresh: bool = False) -> PlaybookIndex:
    """The cached playbooks, or with `fresh` those of a new request."""
    reading = ctx if fresh else ctx.detached()

    async def load() -> PlaybookIndex:
        return PlaybookIndex((await reading.send(list_playbooks, ItemList[Playbook])).items)

    return await ctx.cache.get(ctx.key.fingerprint, "playbooks", load, fresh=fresh)


async def resolve_playbook(ctx: Context, name: str) -> str:
    """From an id, `!macro` or unambiguous title to the id. Raises NotFound or Invalid."""
    candidates = (await playbook_index(ctx, fresh=True)).candidates
    try:
        return match_one(candidates, name, "playbook", "devin_list_playbooks")
    except NotFound:
        if is_id(name):
            with suppress(NotFound, Invalid):  # the list has the team's playbooks only (v1.md §7)
                return (await read_playbook(ctx, name)).playbook_id
        raise


async def read_playbook(ctx: Context, playbook_id: str) -> Playbook:
    """Read a playbook. Raises DevinError."""
    return await ctx.send(get_playbook, Playbook, playbook_id=playbook_id)


class PlaybookView(PlaybookSummary, Result):
    """One playbook with its body, or a part of it."""

    next: Next


@operation(READ, "playbooks", v1="GET /v1/playbooks/{playbook_id}")
async def get_playbook(
    ctx: Context, playbook_id: PlaybookId, from_char: FromChar = 0
) -> Truncatable[PlaybookView]:
    """Read one playbook: its whole text, or the part that starts at from_char."""
    playbook = await read_playbook(ctx, playbook_id)
    return _playbook_view(playbook, from_char)


def _playbook_view(playbook: Playbook, start: int) -> Truncatable[PlaybookView]:
    body = playbook.body or ""
    summary = playbook.model_dump(include=set(PlaybookSummary.model_fields))

    def build(limit: int) -> PlaybookView:
        if limit >= NO_LIMIT:
            return make(len(body))
        room = limit - json_chars(make(0)) - ROOM_FOR_HINT
        return make(len(prefix_that_fits(body[start:], room)))

    def make(room: int) -> PlaybookView:
        part = TextSlice.of(body, start, room)
        end = start + len(part.text)
        text = "Use it as playbook of devin_delegate_task."
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


@operation(CREATE, "playbooks", v1="POST /v1/playbooks", if_reply_lost=IF_REPLY_LOST)
async def create_playbook(
    ctx: Context,
    title: PlaybookTitle,
    body: PlaybookText,
    macro: PlaybookMacro | None = None,
) -> PlaybookSaved:
    """Create a playbook. Needs the permission to manage playbooks."""
    fields = {"title": title, "body": body, "macro": macro}
    playbook = await ctx.send(create_playbook, PlaybookSummary, body=fields)
    return _saved(playbook.playbook_id, playbook.title, playbook.macro)


@operation(CHANGE, "playbooks", v1="PUT /v1/playbooks/{playbook_id}")
async def update_playbook(
    ctx: Context,
    playbook_id: PlaybookId,
    title: PlaybookTitle | None = None,
    body: PlaybookText | None = None,
    macro: PlaybookMacro | None = None,
    clear: Clear[Literal["macro"]] | None = None,
) -> PlaybookSaved:
    """Change a playbook. What is not given stays. Never send a cut body back."""
    change = Change({"title": title, "body": body, "macro": macro}, clear or ())
    record = await ctx.send(get_playbook, RawRecord, playbook_id=playbook_id)
    fields = change.merge(record)
    await ctx.send(update_playbook, Acknowledgement, body=fields, playbook_id=playbook_id)
    return _saved(playbook_id, str(fields["title"]), fields["macro"])


def _saved(playbook_id: str, title: str, macro: str | None) -> PlaybookSaved:
    text = "Read it with devin_get_playbook. Use it as playbook of devin_delegate_task."
    return PlaybookSaved(playbook_id=playbook_id, title=title, macro=macro, next=text)


class PlaybookDeleted(Result):
    playbook_id: str
    deleted: bool
    next: Next


async def _title_of_playbook(ctx: Context, playbook_id: str) -> str | None:
    playbook = (await playbook_index(ctx)).find(playbook_id)
    return playbook.title if playbook else None


@operation(
    DESTROY,
    "playbooks",
    v1="DELETE /v1/playbooks/{playbook_id}",
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
