"""Playbooks: reusable instructions a session can follow."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Annotated

from pydantic import Field, PrivateAttr

from devin_mcp.api.client import ApiCall
from devin_mcp.api.models import Acknowledgement, ApiModel, PlaybookId, Rows, Time, is_id
from devin_mcp.errors import Invalid, NotFound
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, READ, Confirmation, operation
from devin_mcp.operations.context import House
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.markdown import CELL, document, facts, first_line, one_line, table
from devin_mcp.operations.matching import (
    Candidate,
    ResourceContent,
    ResourceEntry,
    completes,
    macro_text,
    match_one,
    resource,
    slug,
    unique_names,
)
from devin_mcp.operations.partial_update import RawRecord, kept
from devin_mcp.operations.results import (
    Cursor,
    FromChar,
    Next,
    Page,
    Result,
    TextSlice,
    from_position,
    json_size,
    prefix_that_fits,
)

Title = Annotated[str, Field(min_length=1, max_length=500, description="Its title")]
Body = Annotated[
    str, Field(min_length=1, max_length=500_000, description="The instructions, markdown")
]
Macro = Annotated[str, Field(max_length=100, description="Shortcut as !deploy; empty = none")]


class PlaybookRow(ApiModel):
    """A playbook; `body` only where it was asked for (v1.md §7)."""

    playbook_id: str
    title: str
    macro: str | None = None
    body: str | None = None
    truncated: bool | None = None
    length: int | None = Field(None, description="Of the whole body, when cut")
    status: str | None = None
    access_type: str | None = None
    updated_at: Time | None = None
    updated_by_user_name: str | None = None


class PlaybookBody(PlaybookRow):
    """As Devin answers it."""

    created_at: Time | None = None

    @property
    def markdown(self) -> str:
        head = facts(macro=self.macro, updated=self.updated_at)
        return document(self.title, head, self.body or "")


class PlaybookIndex:
    """All playbooks of a key, as they were a moment ago."""

    def __init__(self, books: list[PlaybookBody]) -> None:
        self.books = sorted(books, key=lambda book: (book.title.casefold(), book.playbook_id))
        self.named = [book for book in self.books if is_id(book.playbook_id)]
        """Those that can be asked for."""

    @cached_property
    def entries(self) -> list[ResourceEntry]:
        return [
            ResourceEntry(
                id=book.playbook_id,
                title=redactor.clean(one_line(book.title)),
                description=redactor.clean(first_line(book.body)),
                size=len(redactor.clean(book.markdown).encode()),
                modified=book.updated_at,
            )
            for book in self.named
        ]

    @cached_property
    def candidates(self) -> list[Candidate]:
        return [
            Candidate(book.playbook_id, (macro_text(book.macro), book.title)) for book in self.named
        ]

    def by_name(self, taken: frozenset[str]) -> dict[str, PlaybookBody]:
        """Under names that can be typed: from the macro, else the title; names in `taken` are avoided."""
        oldest_first = sorted(
            self.named, key=lambda book: (book.created_at or "", book.playbook_id)
        )
        names = unique_names(
            ((book.playbook_id, slug(book.macro or book.title)) for book in oldest_first), taken
        )
        books = {book.playbook_id: book for book in self.named}
        return dict(sorted((name, books[one]) for one, name in names.items()))


class Playbooks(Page):
    rows = "playbooks"
    hint = "Read one with devin_get_playbook. Use it as playbook of devin_delegate_task."
    empty = "No playbook here. Write one with devin_create_playbook."

    playbooks: list[PlaybookRow]


@operation(READ, "playbooks", v1="GET /v1/playbooks")
async def list_playbooks(
    devin: ApiCall,
    house: House,
    body: Annotated[bool, Field(description="Show bodies too")] = False,
    cursor: Cursor | None = None,
) -> Playbooks:
    """The team's playbooks with id, title and macro."""
    query = ListQuery("devin_list_playbooks", {})
    start = query.decode(cursor)
    books = (await shelf(devin, house, fresh=not start)).books[start:]
    return Playbooks.of(
        [book.model_copy(update={"body": book.body if body else None}) for book in books],
        query,
        from_position(start, len(books)),
    )


async def shelf(devin: ApiCall, house: House, *, fresh: bool = False) -> PlaybookIndex:
    """What is kept of the playbooks, read again when it is too old or `fresh` is asked for."""
    listing = list_playbooks.at(devin if fresh else devin.apart())

    async def load() -> PlaybookIndex:
        return PlaybookIndex((await listing.send(Rows[PlaybookBody])).items)

    return await house.cache.get(devin.owner, "playbooks", load, fresh=fresh)


async def resolve_playbook(devin: ApiCall, house: House, said: str) -> str:
    """The id of the playbook that is meant: an id, a `!macro` or a title that just one has."""
    candidates = (await shelf(devin, house, fresh=True)).candidates
    try:
        return match_one(candidates, said, "playbook", "devin_list_playbooks")
    except NotFound:
        if is_id(said):
            with suppress(NotFound, Invalid):  # the list has the team's alone (v1.md §7)
                return (
                    await get_playbook.at(devin).send(PlaybookRow, playbook_id=said)
                ).playbook_id
        raise


class Playbook(PlaybookRow, Result):
    next: Next
    _whole: str = PrivateAttr("")
    _start: int = PrivateAttr(0)

    def within(self, limit: int) -> Playbook:
        room = limit - json_size(self.model_copy(update={"body": ""})) - 200
        return _playbook(
            self, self._whole, self._start, len(prefix_that_fits(self._whole[self._start :], room))
        )


def _playbook(row: PlaybookRow, whole: str, start: int, room: int) -> Playbook:
    piece = TextSlice.of(whole, start, room)
    end = start + len(piece.text)
    text = "Use it as playbook of devin_delegate_task."
    if end < len(whole):
        text = f"The body was cut: devin_get_playbook with from_char={end} reads it on. {text}"
    facts = row.model_dump(include=set(PlaybookRow.model_fields)) | {
        "body": piece.text,
        "truncated": piece.truncated,
        "length": piece.length,
    }
    made = Playbook(**facts, next=text)
    made._whole, made._start = whole, start
    return made


@operation(READ, "playbooks", v1="GET /v1/playbooks/{playbook_id}")
async def get_playbook(
    devin: ApiCall, playbook_id: PlaybookId, from_char: FromChar = 0
) -> Playbook:
    """One playbook with its whole text, or the part from from_char on."""
    row = await devin.send(PlaybookRow, playbook_id=playbook_id)
    return _playbook(row, row.body or "", from_char, len(row.body or ""))


class PlaybookSaved(Result):
    playbook_id: str
    title: str
    macro: str | None = None
    next: Next


IF_REPLY_LOST = "The playbook may exist. Look with devin_list_playbooks before creating it again."


@operation(CREATE, "playbooks", v1="POST /v1/playbooks", if_lost=IF_REPLY_LOST)
async def create_playbook(
    devin: ApiCall, title: Title, body: Body, macro: Macro | None = None
) -> PlaybookSaved:
    """The new playbook's id. Needs the permission to manage playbooks."""
    made = await devin.send(
        PlaybookRow, body={"title": title, "body": body, "macro": macro or None}
    )
    return _saved(made.playbook_id, made.title, made.macro)


@operation(CHANGE, "playbooks", v1="PUT /v1/playbooks/{playbook_id}")
async def update_playbook(
    devin: ApiCall,
    playbook_id: PlaybookId,
    title: Title | None = None,
    body: Body | None = None,
    macro: Macro | None = None,
) -> PlaybookSaved:
    """The playbook as saved. What is not given stays; macro="" removes the macro. Never send a cut body back."""
    if title is None and body is None and macro is None:
        raise Invalid("Nothing to change: give title, body or macro.")
    now = await get_playbook.at(devin).send(RawRecord, playbook_id=playbook_id)
    whole = kept(now, {"title": title, "body": body, "macro": macro}, needed={"title", "body"})
    await devin.send(Acknowledgement, body=whole, playbook_id=playbook_id)
    return _saved(playbook_id, str(whole["title"]), whole["macro"])


def _saved(playbook_id: str, title: str, macro: str | None) -> PlaybookSaved:
    return PlaybookSaved(
        playbook_id=playbook_id,
        title=title,
        macro=macro,
        next="Read it with devin_get_playbook. Use it as playbook of devin_delegate_task.",
    )


class PlaybookDeleted(Result):
    playbook_id: str
    deleted: bool
    next: Next


async def title_of(devin: ApiCall, house: House, playbook_id: str) -> str | None:
    return next(
        (
            book.title
            for book in (await shelf(devin, house)).books
            if book.playbook_id == playbook_id
        ),
        None,
    )


DELETING = Confirmation(
    "Delete the playbook", "The team can no longer use it, and its macro becomes free.", title_of
)


@operation(DESTROY, "playbooks", v1="DELETE /v1/playbooks/{playbook_id}", stake=DELETING)
async def delete_playbook(devin: ApiCall, playbook_id: PlaybookId) -> PlaybookDeleted:
    """Confirmation that the playbook is gone and its macro free."""
    await devin.send(Acknowledgement, playbook_id=playbook_id)
    return PlaybookDeleted(
        playbook_id=playbook_id, deleted=True, next="See what is left with devin_list_playbooks."
    )


async def entries(devin: ApiCall, house: House) -> list[ResourceEntry]:
    return (await shelf(devin, house)).entries


@resource("devin://playbooks", tool=list_playbooks)
async def all_playbooks(devin: ApiCall, house: House) -> ResourceContent:
    """The team's playbooks as one table."""
    books = (await shelf(devin, house)).books
    rows = [
        (one_line(book.title, CELL), book.macro, (book.updated_at or "")[:10], book.playbook_id)
        for book in books
    ]
    lines, missing = table(("Title", "Macro", "Updated", "Id"), rows, house.result_limit)
    text = f"# Playbooks\n\n{lines}" if rows else "# Playbooks\n\nThere is none yet."
    if missing:
        return ResourceContent(
            text, f"{missing} more do not fit here. Page through them with devin_list_playbooks."
        )
    return ResourceContent(
        text,
        "Read one with devin_get_playbook or at devin://playbooks/{id}."
        if rows
        else "Write one with devin_create_playbook.",
    )


@resource(
    "devin://playbooks/{playbook_id}", tool=get_playbook, entries=entries, list_tool=list_playbooks
)
async def playbook(devin: ApiCall, house: House, playbook_id: PlaybookId) -> ResourceContent:  # noqa: ARG001 - resources share a shape
    """One playbook as markdown, with its title and macro on top."""
    return ResourceContent(
        (await get_playbook.at(devin).send(PlaybookBody, playbook_id=playbook_id)).markdown
    )


@completes("playbook_id", tool=list_playbooks)
async def known_playbooks(
    devin: ApiCall, house: House, filled: Mapping[str, str]
) -> list[Candidate]:
    return (await shelf(devin, house)).candidates
