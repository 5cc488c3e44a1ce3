"""Conversations: what was said in a session, read in windows that fit a budget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from devin_mcp.api.models import ApiModel, Time
from devin_mcp.errors import Invalid
from devin_mcp.operations.results import NO_LIMIT, TextSlice, json_size, prefix_that_fits

LONGEST = 30_000
"""Characters of a prompt or message that Devin takes (v1.md §3.1, observed)."""
START = "start"

LEAST = 60
"""Room for some characters of a message at least, whatever stands beside it, so that reading on gets on."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

Text = Annotated[str, Field(min_length=1, max_length=LONGEST)]
AfterEvent = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._:#-]{1,128}$",
        description="Read on after this message; `start` reads from the first",
    ),
]


class Message(ApiModel):
    """One thing said. Only `devin_message` is Devin speaking; everything but `type` may be missing (v1.md §3.6)."""

    event_id: str | None = None
    type: str = Field("message", description="devin_message, user_message or initial_user_message")
    timestamp: Time | None = None
    username: str | None = None
    message: str = ""
    truncated: bool | None = None
    length: int | None = Field(None, description="Of the whole text, when cut")

    @property
    def is_devins(self) -> bool:
        return self.type == "devin_message"

    def cut(self, start: int, room: int) -> Message:
        piece = TextSlice.of(self.message, start, room)
        return self.model_copy(
            update={"message": piece.text, "truncated": piece.truncated, "length": piece.length}
        )


def assign_event_ids(messages: Sequence[Message]) -> list[Message]:
    """A conversation only grows, so a message without an id of its own, or one that cannot be given back, has its place."""
    seen: set[str] = set()
    named = []
    for place, message in enumerate(messages):
        own = message.event_id
        if not own or own in seen or not _ID.fullmatch(own):
            named.append(message.model_copy(update={"event_id": f"#{place}"}))
        else:
            seen.add(own)
            named.append(message)
    return named


def newest(messages: Sequence[Message], count: int, room: int) -> list[Message]:
    """The last `count` messages that fit into `room` characters; the newest is cut rather than left out."""
    asked = messages[len(messages) - min(count, len(messages)) :]
    if room >= NO_LIMIT:
        return list(asked)
    kept: list[Message] = []
    for message in reversed(asked):
        price = json_size(message) + 1
        if price > room:
            if not kept:
                kept.append(_shortened(message, 0, room))
            break
        room -= price
        kept.append(message)
    return kept[::-1]


def messages_after(
    messages: Sequence[Message], after: str, from_char: int, count: int, room: int
) -> list[Message]:
    """Messages after the one called `after`; with `from_char`, first the rest of that message itself."""
    place = (
        -1
        if after == START
        else next((i for i, one in enumerate(messages) if one.event_id == after), None)
    )
    if place is None:
        raise Invalid(
            "after_event_id names no message of this session.",
            "Take an event_id from this session's messages, or start.",
        )
    if from_char and place < 0:
        raise Invalid("from_char goes with the event_id of the message to read on.")
    first = [] if not from_char else [messages[place].cut(from_char, len(messages[place].message))]
    kept: list[Message] = []
    for message in [*first, *messages[place + 1 :]][:count]:
        price = json_size(message) + 1
        if price > room:
            if not kept:
                start = from_char if message is (first[0] if first else None) else 0
                whole = messages[place] if start else message
                kept.append(_shortened(whole, start, room))
            break
        room -= price
        kept.append(message)
    return kept


def _shortened(message: Message, start: int, room: int) -> Message:
    frame = json_size(message.cut(start, 0)) + 1
    return message.cut(
        start, len(prefix_that_fits(message.message[start:], max(LEAST, room - frame)))
    )
