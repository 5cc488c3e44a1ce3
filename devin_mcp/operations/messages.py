"""Messages: saying something to a session. What was said is read with the session (conversation.py)."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from pydantic import Field

from devin_mcp.api.client import ApiCall
from devin_mcp.api.models import Acknowledgement, SessionId
from devin_mcp.errors import Broken, DevinError, Invalid, NotAllowed, NotSent, SlowDown
from devin_mcp.operations.catalog import CHANGE, operation
from devin_mcp.operations.sessions.conversation import Text
from devin_mcp.operations.sessions.model import Session
from devin_mcp.operations.sessions.tools import get_session
from devin_mcp.operations.waiting import cursor as cursors
from devin_mcp.operations.waiting.pollers import Pollers
from devin_mcp.operations.waiting.result import WithUpdates
from devin_mcp.operations.waiting.target import ReplyTo
from devin_mcp.operations.waiting.tool import wait_after


class MessageSent(WithUpdates):
    """A message was taken, and with max_wait_s what came of it."""

    delivered: bool
    detail: str | None = Field(None, description="Devin's own remark")


FOR_A_LOOK = 5.0
"""Seconds of the call's time that knowing how the session stood before may take."""

IF_REPLY_LOST = "Look with devin_get_session whether the message arrived before sending it again."


@operation(
    CHANGE,
    "sessions",
    v1="POST /v1/sessions/{session_id}/message",
    spends=True,
    if_lost=IF_REPLY_LOST,
)
async def send_message(
    devin: ApiCall,
    following: Pollers,
    session_id: SessionId,
    message: Annotated[Text, Field(description="What to tell Devin")],
    max_wait_s: Annotated[int, Field(ge=0, le=50, description="Seconds to wait for the reply")] = 0,
    cursor: Annotated[
        str | None,
        Field(max_length=300, description="From the last answer; shows what is new"),
    ] = None,
) -> MessageSent:
    """Delivery of one message to a session, and with max_wait_s the reply. Devin works on, which costs ACUs.

    Use it to answer, correct or ask for more.
    """
    if not max_wait_s:
        return await _deliver(devin, session_id, message)
    told = cursors.read(cursor, [session_id]).get(session_id)
    before: Session | None = None
    with suppress(Broken, NotSent, SlowDown):  # without it the reply is found nearly as well
        looking = devin.within(FOR_A_LOOK)
        before = await get_session.at(looking).send(Session, session_id=session_id)
    answer_to = ReplyTo.to(message, before, told)
    sent = await _deliver(devin, session_id, message)
    return await wait_after(
        devin, following, sent, answer_to, max_wait_s, others=cursors.others(cursor, [session_id])
    )


async def _deliver(devin: ApiCall, session_id: str, message: str) -> MessageSent:
    try:
        # `null`, or `{detail}` when the session was suspended (v1.md §3.7)
        sent = await devin.send(Acknowledgement, body={"message": message}, session_id=session_id)
    except Invalid as refusal:
        if refusal.status != 400:
            raise
        try:
            body = await get_session.at(devin).send(Session, session_id=session_id)
        except DevinError:
            raise refusal from None  # its reason is the better one
        if not body.is_over:
            raise
        raise NotAllowed(
            f"Session {session_id} is over (phase {body.phase}) and takes no messages.",
            "Nothing was delivered. Start a new one with devin_delegate_task and tell it what this one knew.",
            status=400,
        ) from None
    return MessageSent(
        session_id=session_id,
        delivered=True,
        detail=sent.detail,
        next="Devin goes on working. Wait for the reply with devin_wait_for_sessions.",
    )
