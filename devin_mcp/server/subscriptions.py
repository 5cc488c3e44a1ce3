"""Notices of change: who listens with which key, what they watch, and what is announced to them.

Every key has a line of its own, so nobody hears of what belongs to another. Clients of the 2026 revision listen on a
stream; older ones are told over stdio without a stream, and cannot be reached over HTTP without sessions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)
from mcp.types import SubscriptionsListenRequestParams, SubscriptionsListenResult

from devin_mcp.api.models import is_id
from devin_mcp.api.pending_writes import WriteEvent
from devin_mcp.errors import Invalid, SlowDown
from devin_mcp.observability.log import event
from devin_mcp.operations.catalog import toolset_of
from devin_mcp.operations.waiting.poller import SessionChange
from devin_mcp.operations.waiting.pollers import MOST_WATCHED as MOST_FOLLOWED
from devin_mcp.operations.waiting.pollers import Account, Pollers, bare
from devin_mcp.server.resource_uris import ResourceMatch, match_uri
from devin_mcp.server.visibility import VisibleTools

Hear = Callable[[ServerEvent], None]

MOST_WATCHED = 500
"""Addresses on one stream."""
BACKLOG = 1024
"""Notices kept for an old client that does not read; more are dropped, since each only says to read again."""


class KeySubscribers:
    """Everybody who listens with one key. The SDK's handler of listen streams takes it for its bus."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.streams = ListenHandler(self)
        self._hear: dict[object, Hear] = {}
        self.watched: Counter[str] = Counter()
        self.followed: dict[str, ExitStack] = {}
        """Bare session id -> what stops following it."""

    def stop_following(self, session_id: str) -> None:
        watch = self.followed.pop(bare(session_id), None)
        if watch is not None:
            watch.close()

    @property
    def is_idle(self) -> bool:
        return not self._hear

    def subscribe(self, listener: Hear) -> Callable[[], None]:
        token = object()
        self._hear[token] = listener
        return lambda: self._hear.pop(token, None) and None

    async def publish(self, event: ServerEvent) -> None:
        self.announce(event)

    def announce(self, event: ServerEvent) -> None:
        for hear in list(self._hear.values()):
            hear(event)


class Subscriptions:
    """All lines of the process."""

    def __init__(self, following: Pollers, view: VisibleTools) -> None:
        self._following = following
        self._view = view
        self._lines: dict[str, KeySubscribers] = {}
        self._old_clients: set[asyncio.Task[None]] = set()
        self._closed = False
        following.freed = self._watch_others

    def line(self, account: Account) -> KeySubscribers:
        line = self._lines.get(account.owner)
        if line is None:
            line = self._lines[account.owner] = KeySubscribers(account)
        return line

    async def listen(
        self,
        ctx: ServerRequestContext[Any, Any],
        params: SubscriptionsListenRequestParams,
        account: Account,
        view: VisibleTools,
    ) -> SubscriptionsListenResult:
        """Serve one stream until its client leaves or the server ends. What the caller does not have is never heard of."""
        uris = list(dict.fromkeys(params.notifications.resource_subscriptions or ()))
        if len(uris) > MOST_WATCHED:
            raise Invalid(
                f"A stream can watch at most {MOST_WATCHED} resources.", "Open it again with fewer."
            )
        line = self.line(account)
        uris = [uri for uri in uris if match_uri(uri, view) is not None]
        params.notifications.resource_subscriptions = uris or None
        self._watch(line, uris)
        try:
            if self._closed:
                asyncio.get_running_loop().call_soon(line.streams.close)
            return await line.streams(ctx, params)
        finally:
            self._unwatch(line, uris)
            self._forget(account)

    def attach_legacy_client(self, session: ServerSession, account: Account) -> None:
        """Tell a client of the older revisions, over stdio, of changed lists and of what it will watch."""
        if (
            self._old_clients
        ):  # there is one at the other end, however often it says that it is ready
            return
        line = self.line(account)
        events: asyncio.Queue[ServerEvent] = asyncio.Queue(BACKLOG)

        def hear(event: ServerEvent) -> None:
            if not isinstance(event, ResourceUpdated) or event.uri in line.watched:
                with suppress(asyncio.QueueFull):
                    events.put_nowait(event)

        line.subscribe(hear)
        task = asyncio.ensure_future(_tell(session, events))
        self._old_clients.add(task)
        task.add_done_callback(self._old_clients.discard)

    def watch(self, account: Account, uri: str) -> None:
        line = self.line(account)
        if len(line.watched) >= MOST_WATCHED:
            raise Invalid(
                f"At most {MOST_WATCHED} resources can be watched.", "Unsubscribe from some."
            )
        self._watch(line, [uri])
        line.watched[uri] = 1  # watching twice is watching once

    def unwatch(self, account: Account, uri: str) -> None:
        line = self.line(account)
        if uri in line.watched:
            self._unwatch(line, [uri])

    def wrote(self, written: WriteEvent) -> None:
        """Announce what a write through this server changed."""
        line = self._lines.get(written.owner)
        if line is None or line.is_idle:
            return
        toolset = toolset_of(written.route)
        # Of a session that is followed, its poller tells: it looks at once, and knows what really changed.
        session_id = written.ids.get("session_id", "")
        if bare(session_id) not in line.followed or not self._following.is_live(
            written.owner, session_id
        ):
            self._touch(line, toolset, written.ids)
        if any(one.entries is not None and one.toolset == toolset for one in self._view.resources):
            line.announce(ResourcesListChanged())
        if any(
            one.list_tool is not None and one.list_tool.toolset == toolset
            for one in self._view.prompts
        ):
            line.announce(PromptsListChanged())

    def close(self) -> None:
        """End all streams, so that nobody who only listens delays the end of the server."""
        self._closed = True
        for line in self._lines.values():
            line.streams.close()
            for session_id in list(line.followed):
                line.stop_following(session_id)
        for task in self._old_clients:
            task.cancel()

    def _watch(self, line: KeySubscribers, uris: Iterable[str]) -> None:
        refused = 0
        for uri in uris:
            line.watched[uri] += 1
            session_id = self._session_of(uri)
            if session_id is not None and not self._follow(line, session_id):
                refused += 1
        if refused:
            event("too_many_watches", level="warning", not_watched=refused)

    def _follow(self, line: KeySubscribers, session_id: str) -> bool:
        """Whether the session is followed now."""
        if bare(session_id) in line.followed and self._following.is_followed(
            line.account.owner, session_id
        ):
            return True
        line.stop_following(session_id)  # it ended, and somebody asks anew

        def changed(change: SessionChange | None) -> None:
            if change is not None:
                self._touch(line, "sessions", {"session_id": session_id}, index=change.is_of_phase)

        watch = ExitStack()
        try:
            watch.enter_context(
                self._following.follow(line.account, session_id, changed, most=MOST_FOLLOWED)
            )
        except SlowDown:
            return False
        line.followed[bare(session_id)] = watch
        return True

    def _watch_others(self, owner: str) -> None:
        """A session is not followed any more: one that had to be left out may take its place."""
        line = self._lines.get(owner)
        if line is None or self._closed:
            return
        for uri in line.watched:
            session_id = self._session_of(uri)
            if (
                session_id is not None
                and bare(session_id) not in line.followed
                and not self._follow(line, session_id)
            ):
                return

    def _unwatch(self, line: KeySubscribers, uris: Iterable[str]) -> None:
        for uri in uris:
            line.watched[uri] -= 1
        line.watched = +line.watched
        needed = {
            bare(session_id)
            for uri in line.watched
            if (session_id := self._session_of(uri)) is not None
        }
        for session_id in line.followed.keys() - needed:
            line.stop_following(session_id)

    def _session_of(self, uri: str) -> str | None:
        target = match_uri(uri, self._view)
        session_id = target.given.get("session_id") if target is not None else None
        return session_id if isinstance(session_id, str) and is_id(session_id) else None

    def _touch(
        self, line: KeySubscribers, toolset: str, ids: Mapping[str, str], *, index: bool = True
    ) -> None:
        for uri in list(line.watched):
            target = match_uri(uri, self._view)
            if target is None or target.resource.toolset != toolset:
                continue
            if index if not target.resource.is_template else _agrees(target, ids):
                line.announce(ResourceUpdated(uri))

    def _forget(self, account: Account) -> None:
        line = self._lines.get(account.owner)
        if line is not None and line.is_idle and not line.watched:
            del self._lines[account.owner]


def _agrees(target: ResourceMatch, ids: Mapping[str, str]) -> bool:
    """The address is about these ids; two spellings of a session's id are one."""
    names = [name for name in target.given if name.endswith("_id")]
    return all(bare(target.given[name]) == bare(ids.get(name, "")) for name in names)


async def _tell(session: ServerSession, events: asyncio.Queue[ServerEvent]) -> None:
    while True:
        match await events.get():
            case ResourceUpdated(uri=uri):
                await session.send_resource_updated(uri)
            case PromptsListChanged():
                await session.send_prompt_list_changed()
            case _:
                await session.send_resource_list_changed()
