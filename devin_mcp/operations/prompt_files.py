"""Files of a prompt or message: a field of their own (v3.md §5.1), or an ATTACHMENT line each in
the text (v1.md §4).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from devin_mcp.errors import Broken, DevinError, Invalid, ReplyLost
from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.attachments import (
    MAX_URL_CHARS,
    Attachment,
    attachment_line,
    check_file,
    check_url,
    parse_attachment,
    upload_attachment,
)
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import MAX_TEXT_CHARS
from devin_mcp.operations.sessions.tools import create_session


@dataclass(frozen=True)
class TextWithFiles:
    """A prompt or message as Devin takes it."""

    text: str
    attachment_urls: list[str] | None = None
    """None if the files are in the text, or if there are none."""


@asynccontextmanager
async def prompt_with_files(
    ctx: Context, task: str, files: Sequence[str]
) -> AsyncIterator[TextWithFiles]:
    """The prompt with its files.

    All files are checked before the first is uploaded. If the block fails, the error names the
    uploads, so that none has to be repeated.
    """
    _check_length(task)
    _check_files(ctx, files)
    attachments: list[Attachment] = []
    try:
        for number, file in enumerate(files, 1):
            if ctx.report is not None:
                await ctx.report(f"Handing over file {number} of {len(files)}")
            attachments.append(await _attach(ctx, file))
        prompt = _with_urls(ctx, task, [attachment.url for attachment in attachments])
        _check_length(prompt.text)
        yield prompt
    except DevinError as error:
        if attachments:
            urls = ", ".join(
                quote_line(attachment.url, MAX_URL_CHARS) for attachment in attachments
            )
            error.message += f" Uploaded already, to be given as files: {urls}"
        raise


async def _attach(ctx: Context, file: str) -> Attachment:
    try:
        return await _attach_file(ctx, file)
    except ReplyLost as lost:  # its advice would speak of a session
        raise Broken(
            f"A file could not be uploaded. {lost.message}", "No session was started. Call again."
        ) from None


def _check_length(prompt: str) -> None:
    if len(prompt) > MAX_TEXT_CHARS:
        raise Invalid(
            f"The prompt has {len(prompt)} characters with repository and files counted; Devin "
            f"takes {MAX_TEXT_CHARS}.",
            "Nothing was started. Put the rest into a file and name it in files.",
        )


def _check_files(ctx: Context, files: Sequence[str]) -> None:
    """Raises Invalid or NotAllowed for local paths or attachment URLs that cannot be attached."""
    for index, file in enumerate(files):
        argument = f"files[{index}]"
        if _is_url(file):
            _canonical_url(ctx, file, argument)
            continue
        if not ctx.policy.readable_files.roots:
            raise Invalid(
                "Local files cannot be read here, so files takes URLs of attachments.",
                "Nothing was started. Upload what you have with devin_upload_attachment first.",
            )
        name, data = ctx.policy.readable_files.open(file, argument)
        with data:
            check_file(name, data)


async def _attach_file(ctx: Context, file: str) -> Attachment:
    """The attachment for a URL; a local file is uploaded first. Raises one of errors.py."""
    if not _is_url(file):
        return await upload_attachment(ctx, path=file)
    url = _canonical_url(ctx, file, "files")
    return Attachment(url=url, bytes=0, next="")


def message_body(ctx: Context, message: str, urls: Sequence[str]) -> dict[str, Any]:
    """The JSON body of a message with attachments. Raises Invalid."""
    checked_urls = [
        _canonical_url(ctx, url, f"attachment_urls[{index}]") for index, url in enumerate(urls)
    ]
    body = _with_urls(ctx, message, checked_urls)
    if len(body.text) > MAX_TEXT_CHARS:
        raise Invalid(
            f"The message has {len(body.text)} characters with its attachments counted; Devin "
            f"takes {MAX_TEXT_CHARS}.",
            "Nothing was sent. Upload the rest as a file.",
        )
    files = {"attachment_urls": body.attachment_urls} if body.attachment_urls else {}
    return {"message": body.text, **files}


def _with_urls(ctx: Context, text: str, urls: Sequence[str]) -> TextWithFiles:
    if not urls:
        return TextWithFiles(text)
    if create_session.takes("attachment_urls", ctx.key.api):
        return TextWithFiles(text, list(urls))
    return TextWithFiles("\n".join([text, "", *map(attachment_line, urls)]))


def _canonical_url(ctx: Context, url: str, argument: str) -> str:
    """The attachment's URL where Devin finds it. Raises Invalid for any other URL."""
    if create_session.takes("attachment_urls", ctx.key.api):
        return check_url(url, argument)  # as Devin gave it: v3 does not document its form
    uuid, name = parse_attachment(url, None, None, argument)
    host = urlsplit(url).netloc
    return ctx.attachment_url(uuid, name) or f"https://{host}/attachments/{uuid}/{quote(name)}"


def _is_url(file: str) -> bool:
    return re.match(r"https?://[\w.:\[\]-]+/", file) is not None
