"""The conversation of a session: messages, and the part of them that fits a budget."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from devin_mcp.api.models import ApiModel, Time
from devin_mcp.errors import Invalid
from devin_mcp.operations.capabilities import V1, Requires
from devin_mcp.operations.results import NO_LIMIT, TextSlice, json_chars, prefix_that_fits

FIRST_EVENT = "start"
"""`after_event_id` of the first message."""
MIN_TEXT_CHARS = 60
"""Characters shown of a message at least, so that reading on always makes progress."""

V1_TASK = "initial_user_message"
_EVENT_ID_CHARS = r"A-Za-z0-9._:-"
_EVENT_ID = re.compile(rf"[{_EVENT_ID_CHARS}]{{1,128}}")

AfterEvent = Annotated[
    str,
    Field(
        pattern=rf"^[#{_EVENT_ID_CHARS}]{{1,128}}$",
        description="Read on after this message; `start` = from the first",
    ),
]


V1_SOURCES = {"devin_message": "devin", "user_message": "user", V1_TASK: "user"}
"""v1 `type` -> v3 `source` (migration.md §7)."""


class Message(ApiModel):
    """One message. All fields but `source` may be absent (v1.md §3.6, v3.md §5.5)."""

    event_id: str | None = None
    source: str = Field("user", description="devin or user")
    created_at: Time | None = Field(None, alias="timestamp")
    username: Annotated[str | None, Requires(V1)] = None
    message: str = ""
    truncated: bool | None = None
    length: int | None = Field(None, description="Of the whole text, when cut")
    is_task: bool = Field(default=False, exclude=True)
    """True for the prompt that the session was started with."""

    @model_validator(mode="before")
    @classmethod
    def _read_type(cls, value: object) -> object:
        """v1 says with `type` who wrote the message, and which is the task."""
        if not isinstance(value, dict) or "type" not in value:
            return value
        kind = value["type"]
        source = V1_SOURCES.get(kind, kind) if isinstance(kind, str) else "user"
        return {**value, "source": source, "is_task": kind == V1_TASK}

    @property
    def is_from_devin(self) -> bool:
        return self.source == "devin"

    def slice(self, start: int, room: int) -> Message:
        """The message with `room` characters of its text from `start` on."""
        part = TextSlice.of(self.message, start, room)
        return self.model_copy(
            update={"message": part.text, "truncated": part.truncated, "length": part.length}
        )


MESSAGE_BYTES = 1000
"""Of a message besides its text."""


def size_of_message(message: Message) -> int:
    """Bytes that a message takes."""
    return MESSAGE_BYTES + sys.getsizeof(message.message or "")


def words_of(text: str) -> list[str]:
    """The words of a message without its ATTACHMENT lines, which differ between two uploads of the
    same file, and which v3 takes as a field of their own.
    """
    lines = [line for line in text.splitlines() if not line.startswith("ATTACHMENT:")]
    return [word for line in lines for word in line.split()]


def assign_event_ids(messages: Sequence[Message]) -> list[Message]:
    """Give a message without a usable id of its own the id `#index`.

    A conversation only grows, so the index stays the same.
    """
    seen: set[str] = set()
    result = []
    for index, message in enumerate(messages):
        event_id = message.event_id
        if not event_id or event_id in seen or not _EVENT_ID.fullmatch(event_id):
            result.append(message.model_copy(update={"event_id": f"#{index}"}))
        else:
            seen.add(event_id)
            result.append(message)
    return result


def latest_messages(messages: Sequence[Message], count: int, room: int) -> list[Message]:
    """The last `count` messages that fit into `room` characters.

    The newest is shortened rather than left out.
    """
    candidates = messages[len(messages) - min(count, len(messages)) :]
    if room >= NO_LIMIT:
        return list(candidates)
    result: list[Message] = []
    for message in reversed(candidates):
        size = json_chars(message) + 1
        if size > room:
            if not result:
                result.append(_shorten(message, 0, room))
            break
        room -= size
        result.append(message)
    return result[::-1]


def messages_after(
    messages: Sequence[Message], event_id: str, from_char: int, count: int, room: int
) -> list[Message]:
    """At most `count` messages after that event; with `from_char`, first the rest of its own text.

    Raises Invalid for an unknown event id.
    """
    index = -1
    if event_id != FIRST_EVENT:
        ids = [message.event_id for message in messages]
        if event_id not in ids:
            raise Invalid(
                "after_event_id names no message of this session.",
                "Take an event_id from this session's messages, or start.",
            )
        index = ids.index(event_id)
    if from_char and index < 0:
        raise Invalid("from_char goes with the event_id of the message to read on.")
    following = list(messages[index + 1 :])
    if from_char:
        rest = messages[index].slice(from_char, len(messages[index].message))
        following = [rest, *following]
    result: list[Message] = []
    for place, message in enumerate(following[:count]):
        size = json_chars(message) + 1
        if size > room:
            if not result and from_char and place == 0:
                result.append(_shorten(messages[index], from_char, room))
            elif not result:
                result.append(_shorten(message, 0, room))
            break
        room -= size
        result.append(message)
    return result


def _shorten(message: Message, start: int, room: int) -> Message:
    frame = json_chars(message.slice(start, 0)) + 1
    text = prefix_that_fits(message.message[start:], max(MIN_TEXT_CHARS, room - frame))
    return message.slice(start, len(text))
