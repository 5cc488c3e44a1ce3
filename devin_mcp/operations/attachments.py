"""Attachments: files handed to Devin, and files Devin hands back."""

from __future__ import annotations

import base64
import binascii
import io
import mimetypes
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, BinaryIO, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, RootModel

from devin_mcp.api.client import ApiCall
from devin_mcp.errors import Invalid
from devin_mcp.operations.catalog import CREATE, READ, READ_FILES, WRITE_FILES, needs, operation
from devin_mcp.operations.context import House
from devin_mcp.operations.results import ROOM_FOR_NEXT, FromChar, Next, Result, prefix_that_fits

LARGEST = 100 * 1024 * 1024
MAX_INLINE_BYTES = 512 * 1024
"""In base64 still below the 1 MiB event that Python clients of the older revision accept (mcp.md A.11)."""

FileName = Annotated[str, Field(min_length=1, max_length=200, description="File name")]


class Attachment(Result):
    url: str
    line: str = Field(description="Put this on a line of its own in a prompt or message")
    bytes: int
    next: Next


class UploadedUrl(RootModel[str]):
    """A bare JSON string (v1.md §4)."""


IF_REPLY_LOST = "The upload did no harm and cost nothing. Upload again."


@operation(CREATE, "attachments", v1="POST /v1/attachments", if_lost=IF_REPLY_LOST)
async def upload_attachment(
    devin: ApiCall,
    house: House,
    path: Annotated[
        str | None,
        Field(max_length=4096, description="Local file, instead of content"),
        needs(READ_FILES),
    ] = None,
    content: Annotated[
        str | None, Field(max_length=4_000_000, description="The file's content")
    ] = None,
    name: FileName | None = None,
    encoding: Annotated[
        Literal["text", "base64"], Field(description="How content is written")
    ] = "text",
) -> Attachment:
    """The uploaded file's URL and the ATTACHMENT line that hands it to Devin in a prompt or message.

    Uploading alone attaches nothing.
    """
    if path is not None:
        if content is not None:
            raise Invalid("Give path or content, not both.")
        found, data = house.reads.opened(path)
        return await _upload(devin, name or found, data)
    if content is None or name is None:
        raise Invalid(
            "Give content and name." if not house.reads.roots else "Give path, or content and name."
        )
    return await _upload(devin, name, io.BytesIO(_decoded(content, encoding)))


def _checked(name: str, data: BinaryIO) -> int:
    if re.search(r"[/\\\x00-\x1f\"\ud800-\udfff]", name) or name in {".", ".."}:
        raise Invalid("name must be a plain file name.")
    size = data.seek(0, io.SEEK_END)
    data.seek(0)
    if size > LARGEST:
        raise Invalid(f"The file has {size} bytes; this server sends at most {LARGEST}.")
    return size


async def _upload(devin: ApiCall, name: str, data: BinaryIO) -> Attachment:
    try:
        size = _checked(name, data)
    except Invalid:
        data.close()
        raise
    url = (await devin.upload(UploadedUrl, name, data, mimetypes.guess_type(name)[0])).root
    text = "Give url in files of devin_delegate_task. In a message of devin_send_message, put line on a line of its own."
    return Attachment(url=url, line=_line(url), bytes=size, next=text)


def check_attached(house: House, files: Sequence[str]) -> None:
    """Raises what is wrong with files to be handed over, local paths or attachments' URLs, before anything is sent."""
    for place, file in enumerate(files, 1):
        _check_attached(house, file, f"files[{place}]")


def _check_attached(house: House, file: str, argument: str) -> None:
    if _is_url(file):
        _parts(file, None, None, argument)
        return
    if not house.reads.roots:
        raise Invalid(
            "Local files cannot be read here, so files takes URLs of attachments.",
            "Nothing was started. Upload what you have with devin_upload_attachment first.",
        )
    name, data = house.reads.opened(file, argument)
    with data:
        _checked(name, data)


async def attached(devin: ApiCall, house: House, file: str) -> Attachment:
    """The file as Devin knows it, uploaded if it is a local one."""
    if not _is_url(file):
        return await upload_attachment(devin, house, path=file)
    uuid, name = _parts(file, None, None)
    url = (
        devin.attachment_url(uuid, name)
        or f"https://{urlsplit(file).netloc}/attachments/{uuid}/{quote(name)}"
    )
    return Attachment(url=url, line=_line(url), bytes=0, next="")


def _is_url(file: str) -> bool:
    return re.match(r"https?://[\w.:\[\]-]+/", file) is not None


def _line(url: str) -> str:
    return f'ATTACHMENT:"{url}"'


def _decoded(content: str, encoding: str) -> bytes:
    if encoding == "text":
        return content.encode()
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("content is not base64.") from None


class Download(Result):
    """A file: text, image bytes, or where it was saved."""

    name: str
    size: int
    media_type: str
    text: str | None = None
    image: bytes | None = None
    saved_to: str | None = None
    from_char: int = 0
    truncated: bool | None = None
    length: int | None = None
    """Of the whole text, when cut."""
    next: Next = ""

    def within(self, limit: int) -> Download:
        if self.text is None:
            return self
        shown = prefix_that_fits(self.text, limit - len(self.name) - ROOM_FOR_NEXT)
        if len(shown) == len(self.text):
            return self
        end, length = self.from_char + len(shown), self.from_char + len(self.text)
        text = f"Cut at character {end} of {length}: from_char={end} of devin_download_attachment reads on."
        return self.model_copy(
            update={"text": shown, "truncated": True, "length": length, "next": text}
        )


@operation(READ, "attachments", v1="GET /v1/attachments/{uuid}/{name}")
async def download_attachment(
    devin: ApiCall,
    house: House,
    url: Annotated[
        str | None, Field(max_length=2000, description="As it stands in a message")
    ] = None,
    uuid: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9-]{1,64}$", description="Instead of url, with name")
    ] = None,
    name: FileName | None = None,
    save_to: Annotated[
        str | None,
        Field(max_length=4096, description="Local file or directory to save it to"),
        needs(WRITE_FILES),
    ] = None,
    from_char: FromChar = 0,
) -> Download:
    """The file: small text and images inline, anything else saved with save_to."""
    uuid, name = _parts(url, uuid, name)
    async with devin.download(uuid=uuid, name=name) as (declared, chunks):
        if save_to is not None:
            with house.writes.writing(save_to, name) as (found, data):
                size = await _copy(chunks, data, LARGEST)
            return Download(
                name=name, size=size, media_type=_media_type(declared), saved_to=str(found)
            )
        instead = "Save it with save_to." if house.writes.roots else "Open it in Devin's web app."
        inline = io.BytesIO()
        await _copy(chunks, inline, MAX_INLINE_BYTES, instead)
    return _inline(name, declared, inline.getvalue(), from_char, instead)


def _parts(
    url: str | None, uuid: str | None, name: str | None, argument: str = "url"
) -> tuple[str, str]:
    """Of a URL only uuid and name are used, never its host."""
    if url is not None and (uuid is not None or name is not None):
        raise Invalid("Give url, or uuid and name.")
    if url is not None:
        found = re.search(r"/attachments/([A-Za-z0-9-]{1,64})/([^/?#\"\r\n]{1,600})", url.strip())
        if found is None:
            raise Invalid(f"{argument} is no attachment's; copy it as it stands in the message.")
        uuid, name = found[1], unquote(found[2])
    if uuid is None or name is None:
        raise Invalid("Give url, or uuid and name.")
    if re.search(r"[/\\\x00-\x1f]", name) or name in {".", ".."}:
        raise Invalid("name must be a plain file name.")
    return uuid, name


async def _copy(
    chunks: AsyncIterator[bytes], target: BinaryIO, most: int, instead: str = ""
) -> int:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise Invalid(f"The file is larger than {most} bytes. Nothing was kept.", instead)
        target.write(chunk)
    return size


_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
"""What models can look at; others are files (an SVG is text)."""


def _image_type(data: bytes) -> str | None:
    """By its first bytes: storage answers with application/octet-stream, and what it declares may be wrong."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), None)


def _inline(name: str, declared: str, data: bytes, from_char: int, instead: str) -> Download:
    if (image := _image_type(data)) is not None:
        return Download(name=name, size=len(data), media_type=image, image=data)
    media_type = _media_type(declared)
    charset = re.search(r"charset=\"?([\w.:-]{1,40})", declared)
    try:
        text = data.decode(charset[1] if charset else "utf-8")
    except (UnicodeDecodeError, LookupError):
        raise Invalid(
            f"The file is binary ({media_type}, {len(data)} bytes) and is not shown.", instead
        ) from None
    return Download(
        name=name, size=len(data), media_type=media_type, text=text[from_char:], from_char=from_char
    )


def _media_type(declared: str) -> str:
    return declared.split(";", maxsplit=1)[0].strip().lower()[:100] or "application/octet-stream"
