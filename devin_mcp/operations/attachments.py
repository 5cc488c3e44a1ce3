"""Attachments: upload files for Devin, download files from Devin."""

from __future__ import annotations

import base64
import binascii
import io
import mimetypes
import re
from collections.abc import AsyncIterator
from typing import Annotated, BinaryIO, Literal
from urllib.parse import unquote

from pydantic import Field, model_validator

from devin_mcp.api.download import download
from devin_mcp.api.models import ApiModel
from devin_mcp.errors import Invalid
from devin_mcp.operations.capabilities import READ_FILES, V1, WRITE_FILES, Requires
from devin_mcp.operations.catalog import CREATE, READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.file_content import FileContent, file_content
from devin_mcp.operations.parameters import FromChar
from devin_mcp.operations.results import Next, Result, Truncatable
from devin_mcp.operations.text_file import TextFile
from devin_mcp.settings.toolsets import ATTACHMENTS

MAX_FILE_BYTES = 100 * 1024 * 1024
MAX_INLINE_BYTES = 512 * 1024
"""In base64 still below the 1 MiB event that Python clients of the older revision accept (mcp.md
A.11)."""
MAX_URL_CHARS = 2083
"""Of an attachment (v3.md §5.1)."""
MAX_PATH_CHARS = 4096

FileName = Annotated[str, Field(max_length=200, description="File name")]

_UUID = r"[A-Za-z0-9-]{1,64}"
_ATTACHMENT_PATH = re.compile(rf"/attachments/({_UUID})/([^/?#\"\r\n]{{1,600}})")
_WEB_URL = re.compile(r"https?://[^\s\"<>\\^`{|}\x00-\x1f]+")
_NOT_A_FILE_NAME = re.compile(r"[/\\\x00-\x1f]")
_NOT_A_HEADER_VALUE = re.compile(r"[/\\\x00-\x1f\"\ud800-\udfff]")


class Attachment(Result):
    url: str
    line: Annotated[str | None, Requires(V1)] = Field(
        None, description="On a line of its own in a prompt, it attaches the file"
    )
    bytes: int
    next: Next


class UploadedFile(ApiModel):
    """`{attachment_id, name, url}` (v3.md §9), or the URL as a bare JSON string (v1.md §4)."""

    url: str
    attachment_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _wrap_text(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value


IF_REPLY_LOST = "An unused upload has no effect and costs nothing. Upload again."


@operation(
    CREATE,
    ATTACHMENTS,
    v1="POST /v1/attachments",
    v3="POST /attachments",
    permission="UseDevinSessions",
    if_reply_lost=IF_REPLY_LOST,
    search_hint="attach a screenshot, image or log to a task",
)
async def upload_attachment(
    ctx: Context,
    path: Annotated[
        str | None,
        Field(max_length=MAX_PATH_CHARS, description="Local file, instead of content"),
        Requires(READ_FILES),
    ] = None,
    content: Annotated[
        str | None, Field(max_length=4_000_000, description="The file's content")
    ] = None,
    name: FileName | None = None,
    encoding: Annotated[
        Literal["text", "base64"], Field(description="How content is written")
    ] = "text",
) -> Attachment:
    """Upload a file for Devin. Returns its URL, which a delegation or message takes."""
    if path is not None:
        if content is not None:
            raise Invalid("Give path or content, not both.")
        file_name, data = ctx.policy.readable_files.open(path)
        return await _upload(ctx, name or file_name, data)
    if content is None or name is None:
        needed = "path, or content and name" if ctx.policy.readable_files.roots else None
        raise Invalid(f"Give {needed or 'content and name'}.")
    if encoding == "text":
        return await _upload(ctx, name, io.BufferedReader(TextFile(content)))
    return await _upload(ctx, name, io.BytesIO(_decode_base64(content)))


async def _upload(ctx: Context, name: str, data: BinaryIO) -> Attachment:
    try:
        size = check_file(name, data)
    except Invalid:
        data.close()
        raise
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    uploaded = await ctx.upload(upload_attachment, UploadedFile, name, data, media_type)
    is_field = uploaded.attachment_id is not None  # v3 takes URLs in a field of their own
    return Attachment(
        url=uploaded.url,
        line=None if is_field else attachment_line(uploaded.url),
        bytes=size,
        next="Give url in files of devin_delegate_task or attachment_urls of devin_send_message.",
    )


def check_file(name: str, data: BinaryIO) -> int:
    """The file's size in bytes. Raises Invalid for a bad name or a file that is too large."""
    if _NOT_A_HEADER_VALUE.search(name) or name in {".", ".."}:
        raise Invalid("name must be a plain file name.")
    size = data.seek(0, io.SEEK_END)
    data.seek(0)
    if size > MAX_FILE_BYTES:
        raise Invalid(f"The file has {size} bytes; this server sends at most {MAX_FILE_BYTES}.")
    return size


def attachment_line(url: str) -> str:
    """How a prompt or message names an attachment (v1.md §4)."""
    return f'ATTACHMENT:"{url}"'


def _decode_base64(content: str) -> bytes:
    """Raises Invalid. Line ends are allowed; copies of the content are not made for nothing."""
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("content is not base64.") from None


@operation(
    READ,
    ATTACHMENTS,
    v1="GET /v1/attachments/{uuid}/{name}",
    v3="GET /attachments/{uuid}/{name}",
    permission="UseDevinSessions",
    structured=False,
    writes_with=WRITE_FILES,
)
async def download_attachment(
    ctx: Context,
    url: Annotated[
        str | None, Field(max_length=MAX_URL_CHARS, description="As it stands in a message")
    ] = None,
    uuid: Annotated[
        str | None,
        Field(pattern=rf"^{_UUID}$", description="Instead of url, with name"),
    ] = None,
    name: FileName | None = None,
    save_to: Annotated[
        str | None,
        Field(max_length=MAX_PATH_CHARS, description="Local file or directory"),
        Requires(WRITE_FILES),
    ] = None,
    from_char: FromChar = 0,
) -> Truncatable[FileContent]:
    """Download a file that Devin has produced, or another attachment.

    Small text and images are shown; anything else is saved with save_to.
    """
    uuid, name = parse_attachment(url, uuid, name)
    async with download(ctx, download_attachment, uuid=uuid, name=name) as (media_type, chunks):
        if save_to is not None:
            with ctx.policy.writable_files.create(save_to, name) as (path, data):
                size = await _copy(chunks, data, MAX_FILE_BYTES)
            return file_content(name, size, media_type, saved_to=str(path))
        alternative = "Open it in Devin's web app."
        if ctx.policy.writable_files.roots:
            alternative = "Save it with save_to."
        inline = io.BytesIO()
        size = await _copy(chunks, inline, MAX_INLINE_BYTES, alternative)
    return file_content(
        name,
        size,
        media_type,
        data=inline.getvalue(),
        from_char=from_char,
        alternative=alternative,
    )


def parse_attachment(
    url: str | None, uuid: str | None, name: str | None, argument: str = "url"
) -> tuple[str, str]:
    """Id and file name. Only the path of a URL is used, never its host. Raises Invalid."""
    if url is not None and (uuid is not None or name is not None):
        raise Invalid("Give url, or uuid and name.")
    if url is not None:
        match = _ATTACHMENT_PATH.search(url.strip())
        if match is None:
            raise Invalid(f"{argument} is no attachment's; copy it as it stands in the message.")
        uuid, name = match[1], unquote(match[2])
    if uuid is None or name is None:
        raise Invalid("Give url, or uuid and name.")
    if _NOT_A_FILE_NAME.search(name) or name in {".", ".."}:
        raise Invalid("name must be a plain file name.")
    return uuid, name


def check_url(url: str, argument: str = "url") -> str:
    """A URL that may be an attachment's. Raises Invalid."""
    if not _WEB_URL.fullmatch(url.strip()) or len(url.strip()) > MAX_URL_CHARS:
        raise Invalid(
            f"{argument} is no web address of at most {MAX_URL_CHARS} characters; copy it as it "
            "stands in the message."
        )
    return url.strip()


async def _copy(
    chunks: AsyncIterator[bytes], target: BinaryIO, max_bytes: int, alternative: str = ""
) -> int:
    """Copy all chunks and return their bytes. Raises Invalid above `max_bytes`."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise Invalid(
                f"The file is larger than {max_bytes} bytes. Nothing was kept.", alternative
            )
        target.write(chunk)
    return size
