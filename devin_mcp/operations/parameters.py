"""Parameter types that several operations share: ids, texts and cursors with their bounds."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from devin_mcp.settings import CALL_DEADLINE_SECONDS

T = TypeVar("T")

MAX_ID_CHARS = 128
MAX_TEXT_CHARS = 30_000
"""Characters of a prompt or message that Devin accepts (v1.md §3.1, observed)."""


_BLANK_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def is_blank(text: str) -> bool:
    """True if nothing of the text is visible: blanks, line ends, zero-width characters."""
    return all(unicodedata.category(char) in _BLANK_CATEGORIES for char in text)


def _refuse_blank(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError("string_too_short", "must not be empty")
    return text


NOT_BLANK = AfterValidator(_refuse_blank)
"""For required texts. Optional ones count as absent when they are blank (server/arguments.py)."""

_ID = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
ID_PATTERN = rf"^{_ID}$"
_SESSION_LINK = re.compile(r"https?://[\w.:-]+/sessions/([\w-]+)/?(?:[?#]\S*)?")


def _strip(value: T) -> T | str:
    return value.strip() if isinstance(value, str) else value


Id = Annotated[str, BeforeValidator(_strip), Field(pattern=ID_PATTERN, max_length=MAX_ID_CHARS)]
"""One path segment: no slash, no `..`, no percent sign. Blanks around it are removed."""


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


def _id_of_link(value: T) -> T | str:
    """The id in the link to a session that every answer shows."""
    link = _SESSION_LINK.fullmatch(value.strip()) if isinstance(value, str) else None
    return link[1] if link else value


SessionId = Annotated[
    Id,
    BeforeValidator(_id_of_link),
    AfterValidator(prefixed_id),
    Field(description="As devin-1a2b"),
]
NoteId = Annotated[Id, Field(description="As note-1a2b")]
FolderId = Annotated[Id, Field(description="As folder-1a2b")]
PlaybookId = Annotated[Id, Field(description="As playbook-1a2b")]
SecretId = Annotated[Id, Field(description="From devin_list_secrets")]

Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS), NOT_BLANK]

_HOST_OF_REPOSITORY = re.compile(r"(?:https?://(?:[\w.-]+@)?[\w.:-]+/|(?:ssh://)?git@[\w.-]+[:/])")
_REPOSITORY = re.compile(r"[\w.~-]+(?:/[\w.~-]+)+")
_PAGES = frozenset(
    {"-", "blob", "commit", "commits", "issues", "merge_requests", "pull", "pulls", "tree", "wiki"}
)
"""Path segments after the name: the link is to a part of the repository."""


def repository_name(text: str) -> str:
    """`https://github.com/owner/name.git` or `git@github.com:owner/name.git` -> `owner/name`.

    Raises PydanticCustomError for anything else, such as a link to an issue.
    """
    path = _HOST_OF_REPOSITORY.sub("", text.strip(), count=1).rstrip("/").removesuffix(".git")
    parts = path.split("/")
    if not _REPOSITORY.fullmatch(path) or {".", ".."} & set(parts) or _PAGES & set(parts[2:]):
        raise PydanticCustomError("repository", "must be owner/name")
    return path


RepositoryName = Annotated[str, Field(max_length=300), AfterValidator(repository_name)]
Repository = Annotated[RepositoryName, Field(description="owner/name")]


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
