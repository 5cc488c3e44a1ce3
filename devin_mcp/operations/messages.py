"""Messages: send one to a session, and with max_wait_s wait for the reply."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from pydantic import Field

from devin_mcp.api.models import Acknowledgement
from devin_mcp.errors import Broken, DevinError, Invalid, NotAllowed, NotSent, SlowDown
from devin_mcp.operations.catalog import CHANGE, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import MAX_WAIT_SECONDS, SessionId, Text, WaitCursorText
from devin_mcp.operations.prompt_files import message_with_attachments
from devin_mcp.operations.results import Truncatable
from devin_mcp.operations.sessions.model import Session
from devin_mcp.operations.sessions.tools import read_session
from devin_mcp.operations.waiting.cursor import WaitCursor
from devin_mcp.operations.waiting.result import WithUpdates, with_updates
from devin_mcp.operations.waiting.target import ReplyTo
from devin_mcp.operations.waiting.tool import wait_after


class MessageSent(WithUpdates):
    """A message was delivered; with max_wait_s, also what is new since."""

    delivered: bool
    detail: str | None = Field(None, description="Devin's own remark")


READ_BEFORE_TIMEOUT = 5.0
"""Seconds for reading the session before the message is sent."""

IF_REPLY_LOST = "Look with devin_get_session whether the message arrived before sending it again."


@operation(
    CHANGE,
    "sessions",
    v1="POST /v1/sessions/{session_id}/message",
    spends=True,
    if_reply_lost=IF_REPLY_LOST,
)
async def send_message(
    ctx: Context,
    session_id: SessionId,
    message: Annotated[Text, Field(description="What to tell Devin")],
    max_wait_s: Annotated[
        int, Field(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the reply")
    ] = 0,
    cursor: WaitCursorText | None = None,
    attachment_urls: Annotated[
        list[str] | None,
        Field(max_length=20, description="Of uploaded files, at most 20"),
    ] = None,
) -> Truncatable[MessageSent]:
    """Send a message to a session; with max_wait_s, wait for the reply.

    Use it to answer, correct or ask for more. Devin works on, which costs ACUs.
    """
    text = message_with_attachments(ctx, message, attachment_urls or ())
    if not max_wait_s:
        return with_updates(await _deliver(ctx, session_id, text), None)
    seen = WaitCursor.decode(cursor)
    before: Session | None = None
    with suppress(Broken, NotSent, SlowDown):  # without it the reply is found nearly as well
        before = await read_session(ctx.with_timeout(READ_BEFORE_TIMEOUT), session_id)
    reply_to = ReplyTo.to(text, before, seen.seen(session_id))
    sent = await _deliver(ctx, session_id, text)
    return await wait_after(ctx, sent, reply_to, max_wait_s, others=seen.others([session_id]))


async def _deliver(ctx: Context, session_id: str, message: str) -> MessageSent:
    try:
        # `null`, or `{detail}` when the session was suspended (v1.md §3.7)
        reply = await ctx.send(
            send_message, Acknowledgement, body={"message": message}, session_id=session_id
        )
    except Invalid as refusal:
        if refusal.status != 400:
            raise
        await _raise_if_over(ctx, session_id, refusal)
        raise
    return MessageSent(
        session_id=session_id,
        delivered=True,
        detail=reply.detail,
        next="Devin goes on working. Wait for the reply with devin_wait_for_sessions.",
    )


async def _raise_if_over(ctx: Context, session_id: str, refusal: Invalid) -> None:
    """Raises NotAllowed if the session is over. Devin's 400 does not say so, so it is read."""
    try:
        session = await read_session(ctx, session_id)
    except DevinError:
        raise refusal from None  # its reason is the better one
    if not session.accepts_messages:
        raise NotAllowed(
            f"Session {session_id} is over (phase {session.phase}) and takes no messages.",
            "Nothing was delivered. Start a new one with devin_delegate_task and tell it what "
            "this one knew.",
            status=400,
        ) from None
