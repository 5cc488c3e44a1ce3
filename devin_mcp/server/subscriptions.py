"""Subscriptions per key: the listeners, the resources they watch, and notifications of changes.

Subscribers are kept apart by key, so nobody is notified of another key's data. Clients of
2026-07-28 listen on a stream. Older clients are notified over stdio without a stream, and cannot be
reached over HTTP without sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated
from mcp.types import SubscriptionsListenRequestParams, SubscriptionsListenResult

from devin_mcp.api.pending_writes import WriteEvent
from devin_mcp.errors import Invalid, SlowDown
from devin_mcp.keys import DevinKey
from devin_mcp.observability.log import event
from devin_mcp.operations.catalog import toolset_of
from devin_mcp.operations.parameters import bare_id, is_id
from devin_mcp.operations.waiting.poller import SessionChange
from devin_mcp.operations.waiting.pollers import MAX_WATCHED_PER_KEY, Pollers
from devin_mcp.server.key_subscribers import KeySubscribers, send_events
from devin_mcp.server.resource_uris import ResourceMatch, match_uri
from devin_mcp.server.visibility import VisibleTools
from devin_mcp.settings.toolsets import SESSIONS, Toolset

MAX_URIS = 500
"""Resources that one stream, or one older client, can watch."""


class Subscriptions:
    """All subscribers of the process, by key."""

    def __init__(self, pollers: Pollers, visible: VisibleTools) -> None:
        self._pollers = pollers
        self._visible = visible
        self._subscribers: dict[str, KeySubscribers] = {}
        self._legacy_tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        pollers.on_slot_free = self._poll_more_sessions

    def of_key(self, key: DevinKey) -> KeySubscribers:
        subscribers = self._subscribers.get(key.tenant)
        if subscribers is None:
            subscribers = self._subscribers[key.tenant] = KeySubscribers(key)
        return subscribers

    async def listen(
        self,
        ctx: ServerRequestContext[Any, Any],
        params: SubscriptionsListenRequestParams,
        key: DevinKey,
        visible: VisibleTools,
    ) -> SubscriptionsListenResult:
        """Serve one stream until its client leaves or the server stops.

        Resources that the caller does not have are ignored. Raises Invalid for too many.
        """
        uris = list(dict.fromkeys(params.notifications.resource_subscriptions or ()))
        if len(uris) > MAX_URIS:
            raise Invalid(
                f"A stream can watch at most {MAX_URIS} resources.", "Open it again with fewer."
            )
        uris = [uri for uri in uris if match_uri(uri, visible) is not None]
        params.notifications.resource_subscriptions = uris or None
        subscribers = self.of_key(key)
        self._watch(subscribers, uris)
        try:
            if self._closed:
                asyncio.get_running_loop().call_soon(subscribers.streams.close)
            return await subscribers.streams(ctx, params)
        finally:
            self._unwatch(subscribers, uris)
            self._remove_if_unused(subscribers)

    def attach_legacy_client(self, session: ServerSession, key: DevinKey) -> None:
        """Notify a client of an older revision, over stdio, of changed lists and resources."""
        if self._legacy_tasks:  # there is one client, however often it sends `initialized`
            return
        task = asyncio.ensure_future(send_events(session, self.of_key(key).queue()))
        self._legacy_tasks.add(task)
        task.add_done_callback(self._legacy_tasks.discard)

    def subscribe_uri(self, key: DevinKey, uri: str) -> None:
        """`resources/subscribe` of older revisions. Raises Invalid for too many."""
        subscribers = self.of_key(key)
        if len(subscribers.watched) >= MAX_URIS:
            raise Invalid(f"At most {MAX_URIS} resources can be watched.", "Unsubscribe from some.")
        self._watch(subscribers, [uri])
        subscribers.watched[uri] = 1  # subscribing twice counts once

    def unsubscribe_uri(self, key: DevinKey, uri: str) -> None:
        subscribers = self.of_key(key)
        if uri in subscribers.watched:
            self._unwatch(subscribers, [uri])

    def on_write(self, write: WriteEvent) -> None:
        """A write listener: notify the key's subscribers of what a write changed."""
        subscribers = self._subscribers.get(write.tenant)
        if subscribers is None or subscribers.is_idle:
            return
        toolset = toolset_of(write.operation_id)
        # The poller of a live session polls at once and sends its own notification.
        session_id = write.ids.get("session_id", "")
        is_polled = bare_id(session_id) in subscribers.polled
        if not (is_polled and self._pollers.is_live(write.tenant, session_id)):
            self._notify_updated(subscribers, toolset, write.ids)
        if any(
            resource.entries is not None and resource.toolset == toolset
            for resource in self._visible.resources
        ):
            subscribers.notify(ResourcesListChanged())
        if any(
            prompt.list_tool is not None and prompt.list_tool.toolset == toolset
            for prompt in self._visible.prompts
        ):
            subscribers.notify(PromptsListChanged())

    def close(self) -> None:
        """End all streams, so that a client that only listens does not delay the shutdown."""
        self._closed = True
        for subscribers in self._subscribers.values():
            subscribers.streams.close()
            for session_id in list(subscribers.polled):
                subscribers.stop_polling(session_id)
        for task in self._legacy_tasks:
            task.cancel()

    def _watch(self, subscribers: KeySubscribers, uris: Iterable[str]) -> None:
        not_watched = 0
        for uri in uris:
            subscribers.watched[uri] += 1
            session_id = self._session_of(uri)
            if session_id is not None and not self._poll(subscribers, session_id):
                not_watched += 1
        if not_watched:
            event("too_many_watches", level="warning", not_watched=not_watched)

    def _unwatch(self, subscribers: KeySubscribers, uris: Iterable[str]) -> None:
        for uri in uris:
            subscribers.watched[uri] -= 1
            if subscribers.watched[uri] <= 0:
                del subscribers.watched[uri]
        sessions = (self._session_of(uri) for uri in subscribers.watched)
        needed = {bare_id(session_id) for session_id in sessions if session_id is not None}
        for session_id in subscribers.polled.keys() - needed:
            subscribers.stop_polling(session_id)

    def _poll(self, subscribers: KeySubscribers, session_id: str) -> bool:
        """Poll a session for these subscribers. False if the key has too many already."""
        key, bare = subscribers.key, bare_id(session_id)
        if bare in subscribers.polled and self._pollers.is_polled(key.tenant, session_id):
            return True
        subscribers.stop_polling(session_id)  # a poller that has ended

        def on_poll(change: SessionChange | None) -> None:
            if change is not None:
                ids = {"session_id": session_id}
                self._notify_updated(subscribers, SESSIONS, ids, lists=change.phase_changed)

        stack = ExitStack()
        try:
            stack.enter_context(
                self._pollers.subscribe(key, session_id, on_poll, max_pollers=MAX_WATCHED_PER_KEY)
            )
        except SlowDown:
            return False
        subscribers.polled[bare] = stack
        return True

    def _poll_more_sessions(self, tenant: str) -> None:
        """When a poller ends, start polling sessions that were over the limit."""
        subscribers = self._subscribers.get(tenant)
        if subscribers is None or self._closed:
            return
        for uri in subscribers.watched:
            session_id = self._session_of(uri)
            if session_id is None or bare_id(session_id) in subscribers.polled:
                continue
            if not self._poll(subscribers, session_id):
                return

    def _session_of(self, uri: str) -> str | None:
        """The session that a watched URI is about."""
        match = match_uri(uri, self._visible)
        if match is None or match.resource.subject != "session_id":
            return None
        session_id = match.subject_id
        return session_id if session_id is not None and is_id(session_id) else None

    def _notify_updated(
        self,
        subscribers: KeySubscribers,
        toolset: Toolset,
        ids: Mapping[str, str],
        *,
        lists: bool = True,
    ) -> None:
        """Notify of every watched resource that a change concerns; `lists` includes the tables."""
        for uri in list(subscribers.watched):
            match = match_uri(uri, self._visible)
            if match is None or match.resource.toolset != toolset:
                continue
            if _is_about(match, ids) if match.resource.is_template else lists:
                subscribers.notify(ResourceUpdated(uri))

    def _remove_if_unused(self, subscribers: KeySubscribers) -> None:
        tenant = subscribers.key.tenant
        is_current = self._subscribers.get(tenant) is subscribers
        if is_current and subscribers.is_idle and not subscribers.watched:
            del self._subscribers[tenant]


def _is_about(match: ResourceMatch, ids: Mapping[str, str]) -> bool:
    """True if the URI names the record with these ids; both spellings of a session id are equal."""
    subject = match.resource.subject
    if subject is None:
        return True
    return bare_id(match.subject_id or "") == bare_id(ids.get(subject, ""))
