"""The subscribers of one key: their listeners, watched resources and polled sessions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress

from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourceUpdated,
    ServerEvent,
)

from devin_mcp.keys import DevinKey
from devin_mcp.operations.parameters import bare_id

MAX_QUEUED_EVENTS = 1024
"""Events kept for an older client that does not read; more are dropped, since each only says that
something can be read again."""

Listener = Callable[[ServerEvent], None]


class KeySubscribers:
    """All subscribers with one key. The SDK's listen handler uses it as its event bus."""

    def __init__(self, key: DevinKey) -> None:
        self.key = key
        self.streams = ListenHandler(self)
        self.watched: Counter[str] = Counter()
        """Resource URI -> number of streams that watch it."""
        self.polled: dict[str, ExitStack] = {}
        """Bare session id -> what stops its polling."""
        self._listeners: dict[object, Listener] = {}

    @property
    def is_idle(self) -> bool:
        return not self._listeners

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener. Returns what removes it."""
        token = object()
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    def queue(self) -> asyncio.Queue[ServerEvent]:
        """A queue of events for one client: changed lists, and resources that are watched."""
        events: asyncio.Queue[ServerEvent] = asyncio.Queue(MAX_QUEUED_EVENTS)

        def enqueue(event: ServerEvent) -> None:
            if not isinstance(event, ResourceUpdated) or event.uri in self.watched:
                with suppress(asyncio.QueueFull):
                    events.put_nowait(event)

        self.subscribe(enqueue)
        return events

    async def publish(self, event: ServerEvent) -> None:
        """Required by the SDK's bus protocol."""
        self.notify(event)

    def notify(self, event: ServerEvent) -> None:
        for listener in list(self._listeners.values()):
            listener(event)

    def stop_polling(self, session_id: str) -> None:
        stack = self.polled.pop(bare_id(session_id), None)
        if stack is not None:
            stack.close()


async def send_events(session: ServerSession, events: asyncio.Queue[ServerEvent]) -> None:
    """Send change notifications to a client of an older protocol revision until cancelled."""
    while True:
        match await events.get():
            case ResourceUpdated(uri=uri):
                await session.send_resource_updated(uri)
            case PromptsListChanged():
                await session.send_prompt_list_changed()
            case _:
                await session.send_resource_list_changed()
