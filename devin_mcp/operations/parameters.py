"""Parameter types that several operations share: ids, texts and cursors with their bounds."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from devin_mcp.settings import CALL_DEADLINE_SECONDS

T = TypeVar("T")

MAX_ID_CHARS = 128
MAX_TEXT_CHARS = 30_000
"""Characters of a prompt or message that Devin accepts (v1.md §3.1, observed)."""


def _refuse_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("string_too_short", "must not be empty")
    return text


NOT_BLANK = AfterValidator(_refuse_blank)
"""For required texts. Optional ones count as absent when they are blank (server/arguments.py)."""

_ID = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
ID_PATTERN = rf"^{_ID}$"
Id = Annotated[str, Field(pattern=ID_PATTERN, max_length=MAX_ID_CHARS)]
"""One path segment: no slash, no `..`, no percent sign."""


def is_id(text: str) -> bool:
    """True if the text is one path segment that needs no percent-encoding."""
    return len(text) <= MAX_ID_CHARS and re.fullmatch(ID_PATTERN, text) is not None


def bare_id(session_id: str) -> str:
    """Both spellings of a session id name the same session (v1.md §3.1)."""
    return session_id.removeprefix("devin-")


def prefixed_id(session_id: T) -> T | str:
    """As paths need it: web addresses and v3's answers have the id without its prefix (v1.md §3.1,
    v3.md §5.4).
    """
    if isinstance(session_id, str) and re.fullmatch(r"[0-9a-f]{32}", session_id):
        return f"devin-{session_id}"
    return session_id


SessionId = Annotated[Id, AfterValidator(prefixed_id), Field(description="As devin-1a2b")]
NoteId = Annotated[Id, Field(description="As note-1a2b")]
FolderId = Annotated[Id, Field(description="As folder-1a2b")]
PlaybookId = Annotated[Id, Field(description="As playbook-1a2b")]
SecretId = Annotated[Id, Field(description="From devin_list_secrets")]

Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS), NOT_BLANK]

RepositoryName = Annotated[
    str, Field(max_length=300, pattern=r"^(https?://[\w.:-]+/)?[\w.~-]+(/[\w.~-]+)+/?$")
]
Repository = Annotated[RepositoryName, Field(description="owner/name")]


def repository_name(repository: str) -> str:
    """`https://github.com/owner/name.git` -> `owner/name`."""
    path = re.sub(r"^https?://[^/]+/", "", repository)
    return path.rstrip("/").removesuffix(".git")


MAX_TAGS = 50
OWN_TAG_PREFIX = "devin-mcp-"
"""Prefix of the tags that identify delegations; callers cannot set them."""


def _refuse_own_tag(tag: str) -> str:
    if tag.startswith(OWN_TAG_PREFIX):
        raise PydanticCustomError("own_tag", "begins with the prefix of this server's own tags")
    return tag


SearchedTag = Annotated[str, Field(max_length=256), NOT_BLANK]
Tag = Annotated[SearchedTag, AfterValidator(_refuse_own_tag)]
"""A tag that a caller sets. One that begins with our prefix could pass for a delegation."""
SearchedTags = Annotated[list[SearchedTag], Field(max_length=MAX_TAGS)]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]

FromChar = Annotated[int, Field(ge=0, description="Read on from this character")]
MAX_WAIT_SECONDS = int(CALL_DEADLINE_SECONDS)
WaitCursorText = Annotated[
    str, Field(max_length=300, description="From the last answer; shows what is new")
]
