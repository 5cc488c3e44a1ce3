"""Messages: saying something to a session. What was said is read with the session (conversation.py)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from devin_mcp.api.client import Devin
from devin_mcp.api.wire import Done, SessionId
from devin_mcp.errors import Invalid, NotAllowed
from devin_mcp.operations.conversation import Text
from devin_mcp.operations.declare import CHANGE, operation
from devin_mcp.operations.fit import Next, Result
from devin_mcp.operations.progress import SessionBody
from devin_mcp.operations.sessions import get_session


class MessageSent(Result):
    """A message was taken."""

    session_id: str
    delivered: bool
    detail: str | None = Field(None, description="Devin's own remark")
    next: Next


IF_LOST = "Look with devin_get_session whether the message arrived before sending it again."


@operation(CHANGE, "sessions", v1="POST /v1/sessions/{session_id}/message", spends=True, if_lost=IF_LOST)
async def send_message(
    devin: Devin,
    session_id: SessionId,
    message: Annotated[Text, Field(description="What to tell Devin; at most 30,000 characters")],
) -> MessageSent:
    """Delivery of one message to a session. Devin works on, which costs ACUs.

    Use it to answer, correct or ask for more. A session that is still starting is waited for.
    Read the reply later with devin_get_session.
    """
    try:
        # `null`, or `{detail}` when the session was suspended (v1.md §3.7)
        sent = await devin.send(Done, body={"message": message}, session_id=session_id)
    except Invalid as refusal:
        if refusal.status != 400:
            raise
        body = await get_session.at(devin).send(SessionBody, session_id=session_id)
        if not body.is_over:
            raise
        raise NotAllowed(
            f"Session {session_id} is over (phase {body.phase}) and takes no messages.",
            "Nothing was delivered. Start a new one with devin_create_session and tell it what this one knew.",
            status=400,
        ) from None
    return MessageSent(
        session_id=session_id,
        delivered=True,
        detail=sent.detail,
        next="Devin goes on working. Look in a minute with devin_get_session.",
    )
