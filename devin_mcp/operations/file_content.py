"""The content of a downloaded file: text, image bytes, or where it was saved."""

from __future__ import annotations

import re

from devin_mcp.errors import Invalid
from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.results import (
    NO_LIMIT,
    ROOM_FOR_NEXT,
    Next,
    Result,
    Truncatable,
    prefix_that_fits,
)

_IMAGE_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
"""Images that models can see. Others are files; an SVG is text."""

CHARSETS = frozenset(
    {
        *("utf-8", "utf8", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be"),
        *("iso-8859-1", "latin1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1251"),
        *("windows-1252", "koi8-r", "shift_jis", "euc-jp", "euc-kr", "gbk", "gb2312", "big5"),
    }
)
"""Character encodings of files that are decoded as declared."""


class FileContent(Result):
    """A file. Rendered as content blocks instead of structured data."""

    name: str
    size: int
    """Bytes."""
    media_type: str
    text: str | None = None
    image: bytes | None = None
    saved_to: str | None = None
    from_char: int = 0
    truncated: bool | None = None
    length: int | None = None
    """Characters of the whole text, if this is not all of it."""
    next: Next = ""


def file_content(
    name: str,
    size: int,
    content_type: str,
    *,
    data: bytes = b"",
    from_char: int = 0,
    alternative: str = "",
    saved_to: str | None = None,
) -> Truncatable[FileContent]:
    """The content to show. Raises Invalid for a binary file, with `alternative` as the advice."""
    media_type = _media_type(content_type)
    if saved_to is not None:
        saved = FileContent(name=name, size=size, media_type=media_type, saved_to=saved_to)
        return Truncatable(lambda _: saved)
    if (image_type := _image_type(data)) is not None:
        image = FileContent(name=name, size=size, media_type=image_type, image=data)
        return Truncatable(lambda _: image)
    try:
        text = data.decode(_charset(content_type))
    except UnicodeDecodeError:
        raise Invalid(
            f"The file is binary ({quote_line(media_type)}, {size} bytes) and is not shown.",
            alternative,
        ) from None
    whole = FileContent(
        name=name, size=size, media_type=media_type, text=text[from_char:], from_char=from_char
    )
    return Truncatable(lambda limit: _truncate(whole, limit))


def _truncate(file: FileContent, limit: int) -> FileContent:
    text = file.text or ""
    if limit >= NO_LIMIT:
        return file
    text_part = prefix_that_fits(text, limit - len(file.name) - ROOM_FOR_NEXT)
    if len(text_part) == len(text):
        return file
    end, length = file.from_char + len(text_part), file.from_char + len(text)
    hint = (
        f"Cut at character {end} of {length}: from_char={end} of devin_download_attachment "
        "reads on."
    )
    return file.model_copy(
        update={"text": text_part, "truncated": True, "length": length, "next": hint}
    )


def _charset(content_type: str) -> str:
    """The declared charset if it is a common one, else UTF-8: some of Python's codecs take seconds
    for a file, or are no character encodings.
    """
    charset = re.search(r"charset=\"?([\w.:-]{1,40})", content_type, re.IGNORECASE)
    return charset[1] if charset and charset[1].lower() in CHARSETS else "utf-8"


def _image_type(data: bytes) -> str | None:
    """By signature: storage answers with application/octet-stream, and may declare a wrong type."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    for signature, media_type in _IMAGE_SIGNATURES.items():
        if data.startswith(signature):
            return media_type
    return None


def _media_type(content_type: str) -> str:
    media_type = content_type.split(";", maxsplit=1)[0].strip().lower()
    return media_type[:100] or "application/octet-stream"
