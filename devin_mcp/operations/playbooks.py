"""Playbooks: reusable instructions a session can follow."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PrivateAttr

from devin_mcp.api.client import Devin
from devin_mcp.api.wire import Done, PlaybookId, Rows, Time, Wire
from devin_mcp.errors import Invalid
from devin_mcp.operations.declare import CHANGE, CREATE, DESTROY, READ, operation
from devin_mcp.operations.fit import Cut, FromChar, Next, Offset, Page, Result, cost, text_that_fits

Title = Annotated[str, Field(min_length=1, max_length=500, description="Its title")]
Body = Annotated[str, Field(min_length=1, max_length=500_000, description="The instructions, markdown")]
Macro = Annotated[str, Field(max_length=100, description="Shortcut as !deploy; empty = none")]


class PlaybookRow(Wire):
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


class Playbooks(Page):
    rows = "playbooks"
    tool = "devin_list_playbooks"
    hint = "Read one with devin_get_playbook. Use it as playbook_id of devin_create_session."
    empty = "No playbook here. Write one with devin_create_playbook."

    playbooks: list[PlaybookRow]


@operation(READ, "playbooks", v1="GET /v1/playbooks")
async def list_playbooks(
    devin: Devin,
    body: Annotated[bool, Field(description="Show bodies too")] = False,
    offset: Offset = 0,
) -> Playbooks:
    """The team's playbooks with id, title and macro."""
    rows = (await devin.send(Rows[PlaybookRow])).items
    if not body:
        for row in rows:
            row.body = None
    return Playbooks.of(rows[offset:], offset)


class Playbook(PlaybookRow, Result):
    next: Next
    _whole: str = PrivateAttr("")
    _start: int = PrivateAttr(0)

    def within(self, limit: int) -> Playbook:
        room = limit - cost(self.model_copy(update={"body": ""})) - 200
        return _playbook(self, self._whole, self._start, len(text_that_fits(self._whole[self._start :], room)))


def _playbook(row: PlaybookRow, whole: str, start: int, room: int) -> Playbook:
    piece = Cut.of(whole, start, room)
    end = start + len(piece.text)
    text = "Use it as playbook_id of devin_create_session."
    if end < len(whole):
        text = f"The body was cut: devin_get_playbook with from_char={end} reads it on. {text}"
    facts = row.model_dump(include=set(PlaybookRow.model_fields)) | {
        "body": piece.text, "truncated": piece.truncated, "length": piece.length,
    }  # fmt: skip
    made = Playbook(**facts, next=text)
    made._whole, made._start = whole, start
    return made


@operation(READ, "playbooks", v1="GET /v1/playbooks/{playbook_id}")
async def get_playbook(devin: Devin, playbook_id: PlaybookId, from_char: FromChar = 0) -> Playbook:
    """One playbook with its whole text, or the part from from_char on."""
    row = await devin.send(PlaybookRow, playbook_id=playbook_id)
    return _playbook(row, row.body or "", from_char, len(row.body or ""))


class PlaybookSaved(Result):
    playbook_id: str
    title: str
    macro: str | None = None
    next: Next


IF_LOST = "The playbook may exist. Look with devin_list_playbooks before creating it again."


@operation(CREATE, "playbooks", v1="POST /v1/playbooks", if_lost=IF_LOST)
async def create_playbook(devin: Devin, title: Title, body: Body, macro: Macro | None = None) -> PlaybookSaved:
    """The new playbook's id. The key's user needs the permission to manage playbooks."""
    made = await devin.send(PlaybookRow, body={"title": title, "body": body, "macro": macro or None})
    return _saved(made)


@operation(CHANGE, "playbooks", v1="PUT /v1/playbooks/{playbook_id}")
async def update_playbook(
    devin: Devin,
    playbook_id: PlaybookId,
    title: Title | None = None,
    body: Body | None = None,
    macro: Macro | None = None,
) -> PlaybookSaved:
    """The playbook as saved. What is not given stays; macro="" removes the macro. Never send a cut body back."""
    if title is None and body is None and macro is None:
        raise Invalid("Nothing to change: give title, body or macro.")
    now = await get_playbook.at(devin).send(PlaybookRow, playbook_id=playbook_id)
    kept = {
        "title": now.title if title is None else title,
        "body": now.body if body is None else body,
        "macro": now.macro if macro is None else macro or None,
    }
    await devin.send(Done, body=kept, playbook_id=playbook_id)
    return _saved(now.model_copy(update=kept))


def _saved(row: PlaybookRow) -> PlaybookSaved:
    return PlaybookSaved(
        playbook_id=row.playbook_id,
        title=row.title,
        macro=row.macro,
        next="Read it with devin_get_playbook. Use it as playbook_id of devin_create_session.",
    )


class PlaybookDeleted(Result):
    playbook_id: str
    deleted: bool
    next: Next


@operation(DESTROY, "playbooks", v1="DELETE /v1/playbooks/{playbook_id}")
async def delete_playbook(devin: Devin, playbook_id: PlaybookId) -> PlaybookDeleted:
    """Confirmation that the playbook is gone and its macro free."""
    await devin.send(Done, playbook_id=playbook_id)
    return PlaybookDeleted(playbook_id=playbook_id, deleted=True, next="See what is left with devin_list_playbooks.")
