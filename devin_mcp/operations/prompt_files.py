"""Files in the text of a prompt or message: each becomes an ATTACHMENT line (v1.md §4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

from devin_mcp.errors import Broken, DevinError, Invalid, ReplyLost
from devin_mcp.operations.attachments import (
    Attachment,
    attachment_line,
    check_file,
    parse_attachment,
    upload_attachment,
)
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import MAX_TEXT_CHARS


@asynccontextmanager
async def prompt_with_files(ctx: Context, task: str, files: Sequence[str]) -> AsyncIterator[str]:
    """The prompt with a line per file.

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
        lines = [attachment.line for attachment in attachments]
        prompt = "\n".join([task, "", *lines]) if lines else task
        _check_length(prompt)
        yield prompt
    except DevinError as error:
        if attachments:
            urls = ", ".join(attachment.url for attachment in attachments)
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
            parse_attachment(file, None, None, argument)
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
    return Attachment(url=url, line=attachment_line(url), bytes=0, next="")


def message_with_attachments(ctx: Context, message: str, urls: Sequence[str]) -> str:
    """The message with a line per attachment (v1.md §4). Raises Invalid."""
    lines = [
        attachment_line(_canonical_url(ctx, url, f"attachment_urls[{index}]"))
        for index, url in enumerate(urls)
    ]
    text = "\n".join([message, "", *lines]) if lines else message
    if len(text) > MAX_TEXT_CHARS:
        raise Invalid(
            f"The message has {len(text)} characters with its attachments counted; Devin takes "
            f"{MAX_TEXT_CHARS}.",
            "Nothing was sent. Upload the rest as a file.",
        )
    return text


def _canonical_url(ctx: Context, url: str, argument: str) -> str:
    """The attachment's URL where Devin finds it. Raises Invalid for any other URL."""
    uuid, name = parse_attachment(url, None, None, argument)
    host = urlsplit(url).netloc
    return ctx.attachment_url(uuid, name) or f"https://{host}/attachments/{uuid}/{quote(name)}"


def _is_url(file: str) -> bool:
    return re.match(r"https?://[\w.:\[\]-]+/", file) is not None
