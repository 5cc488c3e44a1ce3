"""Messages of a session where they are a request of their own (v3.md §5.5)."""

from __future__ import annotations

from devin_mcp.api.endpoint import Lookup
from devin_mcp.api.paging import Walk, read_pages
from devin_mcp.errors import BadKey, Broken, Refused, SlowDown
from devin_mcp.operations.context import Context
from devin_mcp.operations.sessions.conversation import Message, assign_event_ids
from devin_mcp.operations.sessions.conversation_cache import Conversation

LIST_MESSAGES = Lookup.declare(
    "list_messages",
    v3="GET /sessions/{session_id}/messages?first=200",
    permission="ViewOrgSessions",
)


async def read_messages(ctx: Context, session_id: str) -> list[Message]:
    """The whole conversation, oldest first. Pages that were read before are not read again.

    Raises one of errors.py.
    """
    earlier = ctx.conversations.get(ctx.key.tenant, session_id)
    try:
        walk = await _read_after(ctx, session_id, earlier)
    except (Refused, Broken) as error:
        if earlier.cursor is None or isinstance(error, BadKey | SlowDown):
            raise
        earlier = Conversation()  # the cursor may be what Devin does not accept any more
        walk = await _read_after(ctx, session_id, earlier)
    before_cursor = (*earlier.messages, *walk.items[: walk.resume_count])
    ctx.conversations.put(
        ctx.key.tenant, session_id, Conversation(before_cursor, walk.resume_after)
    )
    messages = _without_repeats([*earlier.messages, *walk.items])
    if messages and not messages[0].is_from_devin:
        messages[0].is_task = True
    return assign_event_ids(messages)


async def _read_after(ctx: Context, session_id: str, earlier: Conversation) -> Walk[Message]:
    return await read_pages(
        ctx, LIST_MESSAGES, Message, after=earlier.cursor, session_id=session_id
    )


def _without_repeats(messages: list[Message]) -> list[Message]:
    """Pages may overlap (v3.md §5.5); a message without an id is never left out."""
    seen: set[str] = set()
    result = []
    for message in messages:
        if message.event_id is None or message.event_id not in seen:
            result.append(message)
            seen.add(message.event_id or "")
    return result
