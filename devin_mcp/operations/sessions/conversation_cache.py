"""Conversations that were read before, so that reading on costs one request (v3.md §5.5)."""

from __future__ import annotations

from dataclasses import dataclass

from devin_mcp.api.memory import MIB
from devin_mcp.api.sizes import size_of
from devin_mcp.operations.bounded_store import BoundedStore
from devin_mcp.operations.sessions.conversation import Message

MAX_BYTES_PER_TENANT = 4 * MIB
"""What is kept per key and organization."""
MAX_BYTES = 32 * MIB
"""What is kept in all."""


@dataclass(frozen=True)
class Conversation:
    """The messages before a cursor. A conversation only grows, so they stay as they are."""

    messages: tuple[Message, ...] = ()
    cursor: str | None = None
    """Where Devin's page after these messages begins; None for the first."""


class ConversationCache:
    """The least recently used conversation is forgotten first, and read again when needed."""

    def __init__(self) -> None:
        self._conversations = BoundedStore[Conversation](MAX_BYTES, MAX_BYTES_PER_TENANT)

    def get(self, tenant: str, session_id: str) -> Conversation:
        """An empty conversation if nothing is known."""
        return self._conversations.get(tenant, session_id) or Conversation()

    def put(self, tenant: str, session_id: str, conversation: Conversation) -> None:
        """A conversation of one page has no cursor, so nothing would be gained by keeping it."""
        if conversation.cursor is None:
            self._conversations.remove(tenant, session_id)
            return
        self._conversations.put(tenant, session_id, conversation, size_of(conversation))
