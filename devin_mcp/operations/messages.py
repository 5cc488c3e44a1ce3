"""Messages: send one to a session, and with max_wait_s wait for the reply."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import Field, model_validator

from devin_mcp.api.models import Acknowledgement, ApiModel
from devin_mcp.errors import (
    Broken,
    DevinError,
    NotAllowed,
    NotReady,
    NotSent,
    OutOfQuota,
    Refused,
    SlowDown,
)
from devin_mcp.operations.capabilities import V1, Requires
from devin_mcp.operations.catalog import CHANGE, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import MAX_WAIT_SECONDS, SessionId, Text, WaitCursorText
from devin_mcp.operations.prompt_files import message_body
from devin_mcp.operations.results import Truncatable
from devin_mcp.operations.sessions.model import Phase, Session, phase_of
from devin_mcp.operations.sessions.tools import read_session, read_session_alone
from devin_mcp.operations.waiting.cursor import WaitCursor
from devin_mcp.operations.waiting.result import WithUpdates, with_updates
from devin_mcp.operations.waiting.target import ReplyTo
from devin_mcp.operations.waiting.tool import wait_after
from devin_mcp.settings.toolsets import SESSIONS


class MessageSent(WithUpdates):
    """A message was delivered; with max_wait_s, also what is new since."""

    delivered: bool
    detail: Annotated[str | None, Requires(V1)] = Field(None, description="Devin's own remark")


READ_BEFORE_TIMEOUT = 5.0
"""Seconds for reading the session before the message is sent."""

SESSION_REFUSED_STATUSES = frozenset({400, 403, 409, 422})
"""May mean that the session takes no messages: 400 on v1, not documented on v3 (v3-additions.md
§13)."""

UNARCHIVE = (
    "devin_archive_session with archived=false takes it back from the archive; then send it again."
)
START_ANEW = "Start a new one with devin_delegate_task and tell it what this one knew."
IF_REPLY_LOST = "Look with devin_get_session whether the message arrived before sending it again."


@operation(
    CHANGE,
    SESSIONS,
    v1="POST /v1/sessions/{session_id}/message",
    v3="POST /sessions/{session_id}/messages",
    permission="ManageOrgSessions",
    spends=True,
    if_reply_lost=IF_REPLY_LOST,
    is_core=True,
    search_hint="reply to Devin, tell Devin, follow-up instructions, a comment or post for the "
    "running agent, wake a sleeping session, tell it to change",
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
        Field(max_length=20, description="Of uploaded files"),
    ] = None,
) -> Truncatable[MessageSent]:
    """Send Devin a message: answer its question, reply, correct its approach, ask for more.

    It works on or wakes up, which costs ACUs. With max_wait_s, wait for the reply.
    """
    body = message_body(ctx, message, attachment_urls or ())
    if not max_wait_s:
        return with_updates(await _deliver(ctx, session_id, body), None)
    seen = WaitCursor.decode(cursor)
    before: Session | None = None
    with suppress(Broken, NotSent, SlowDown):  # without it the reply is found nearly as well
        before = await read_session(ctx.with_timeout(READ_BEFORE_TIMEOUT), session_id)
    reply_to = ReplyTo.to(str(body["message"]), before, seen.seen(session_id))
    sent = await _deliver(ctx, session_id, body)
    if before is not None:
        ctx.pollers.set_messages_before(ctx.key, session_id, len(before.messages))
    others = seen.others([session_id])
    return await wait_after(ctx, sent, "message", reply_to, max_wait_s, others)


class MessageReply(ApiModel):
    """`null` or `{detail}` on v1 (v1.md §3.7), the session on v3 (v3.md §5.5)."""

    detail: str | None = None
    phase: Phase | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_either(cls, value: object) -> object:
        if isinstance(value, dict) and "session_id" in value:
            return {"phase": phase_of(value)}
        return {"detail": Acknowledgement.model_validate(value).detail}


async def _deliver(ctx: Context, session_id: str, body: Mapping[str, Any]) -> MessageSent:
    try:
        reply = await ctx.send(send_message, MessageReply, body=body, session_id=session_id)
    except (NotReady, OutOfQuota):
        raise
    except Refused as refusal:
        if refusal.status in SESSION_REFUSED_STATUSES:
            await _raise_if_closed(ctx, session_id, refusal)
        raise
    return MessageSent(
        session_id=session_id,
        delivered=True,
        phase=reply.phase,
        detail=reply.detail,
        next="Devin goes on working. Wait for the reply with devin_wait_for_sessions.",
    )


async def _raise_if_closed(ctx: Context, session_id: str, refusal: Refused) -> None:
    """Raises NotAllowed if the session takes no messages. Devin's answer does not say so, so the
    session is read.
    """
    try:
        session = await read_session_alone(ctx, session_id)
    except DevinError:
        raise refusal from None  # its reason is the better one
    if not session.accepts_messages:
        advice = UNARCHIVE if session.archived and session.can_be_ended else START_ANEW
        raise NotAllowed(
            f"Session {session_id} takes no messages: {_why_closed(session)}.",
            f"Nothing was delivered. {advice}",
            status=refusal.status,
        ) from None


def _why_closed(session: Session) -> str:
    if session.archived:
        return "it is archived, and read-only"
    if session.phase == "held":
        return f"it is on hold ({session.reason}) until a person acts in Devin's web app"
    return f"it is over (phase {session.phase})"
