"""Conversations that were read before, so that reading on costs one request (v3.md §5.5)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from devin_mcp.operations.sessions.conversation import Message

MAX_CHARS_PER_TENANT = 2_000_000
"""Characters of messages that are kept per key and organization."""
MAX_CHARS = 16_000_000
"""Characters that are kept in all."""
MESSAGE_OVERHEAD_CHARS = 500
"""Counted per message, and once per conversation, for what is not text."""

ConversationId = tuple[str, str]
"""Tenant and session id."""


@dataclass(frozen=True)
class Conversation:
    """The messages before a cursor. A conversation only grows, so they stay as they are."""

    messages: tuple[Message, ...] = ()
    cursor: str | None = None
    """Where Devin's page after these messages begins; None for the first."""

    @property
    def chars(self) -> int:
        texts = (
            len(text or "")
            for message in self.messages
            for text in (message.message, message.event_id, message.source, message.username)
        )
        overhead = (len(self.messages) + 1) * MESSAGE_OVERHEAD_CHARS
        return sum(texts) + len(self.cursor or "") + overhead


class ConversationCache:
    """The least recently used conversation is forgotten first, and read again when needed."""

    def __init__(self) -> None:
        self._conversations: OrderedDict[ConversationId, Conversation] = OrderedDict()

    def get(self, tenant: str, session_id: str) -> Conversation:
        """An empty conversation if nothing is known."""
        conversation_id = (tenant, session_id)
        if conversation_id not in self._conversations:
            return Conversation()
        self._conversations.move_to_end(conversation_id)
        return self._conversations[conversation_id]

    def put(self, tenant: str, session_id: str, conversation: Conversation) -> None:
        """A conversation of one page has no cursor, so nothing would be gained by keeping it."""
        self._conversations.pop((tenant, session_id), None)
        if conversation.cursor is None or conversation.chars > MAX_CHARS_PER_TENANT:
            return
        self._conversations[tenant, session_id] = conversation
        own = [item for item in self._conversations if item[0] == tenant]
        self._forget_oldest(own, MAX_CHARS_PER_TENANT)
        self._forget_oldest(list(self._conversations), MAX_CHARS)

    def _forget_oldest(self, ids: list[ConversationId], max_chars: int) -> None:
        chars = sum(self._conversations[item].chars for item in ids)
        for item in ids:
            if chars <= max_chars:
                return
            chars -= self._conversations.pop(item).chars
