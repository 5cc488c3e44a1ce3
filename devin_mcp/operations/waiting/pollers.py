"""Following sessions: one poller for each session and key while somebody follows it, however many do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from devin_mcp.api.client import DevinClient
from devin_mcp.api.pending_writes import WriteEvent
from devin_mcp.errors import SlowDown
from devin_mcp.operations.waiting.poller import MESSAGE_VISIBILITY_LAG, Listener, SessionPoller

MOST = 100
"""Sessions that one key may have followed at once."""
MOST_WATCHED = 60
"""Of these, those that are only watched; the others are kept for who waits."""


@dataclass(frozen=True)
class Account:
    """Whose session is followed; the key is used for looking and never shown."""

    owner: str
    key: str = field(repr=False)


class Pollers:
    """All pollers of the process."""

    def __init__(self, api: DevinClient) -> None:
        self._api = api
        self._pollers: dict[tuple[str, str], SessionPoller] = {}
        self._told: dict[tuple[str, str], float] = {}
        """When something was said to a session through this server, for as long as it may not have noticed."""
        self.freed: Callable[[str], None] = lambda _: None
        """Told whose session is not followed any more, so that another one may be."""
        self.closing = False
        api.writes.listeners.append(self._poke)

    def is_live(self, owner: str, session_id: str) -> bool:
        """It was seen and is not over: whatever happens to it now will be told."""
        followed = self._at((owner, bare(session_id)))
        return followed is not None and followed.body is not None

    def is_followed(self, owner: str, session_id: str) -> bool:
        return self._at((owner, bare(session_id))) is not None

    @contextmanager
    def follow(
        self, account: Account, session_id: str, listener: Listener, *, most: int = MOST
    ) -> Iterator[SessionPoller]:
        """Call `listener` for every change and look from now on, as long as the block lasts.

        Raises SlowDown when this key has `most` sessions followed already.
        """
        place = (account.owner, bare(session_id))
        followed = self._at(place)
        if followed is None:
            if sum(owner == account.owner for owner, _ in self._pollers) >= most:
                raise SlowDown(
                    f"With this key, {most} sessions are being followed already, the most this server allows."
                )
            followed = self._pollers[place] = SessionPoller(self._api, account.key, session_id)
            followed.told_at = self._told.get(place, -MESSAGE_VISIBILITY_LAG)
            followed.task.add_done_callback(lambda _: self._forget(place, followed))
        followed.listeners.append(listener)
        try:
            yield followed
        finally:
            followed.listeners.remove(listener)
            if not followed.listeners:
                followed.task.cancel()
                self._forget(place, followed)

    def finish_waits(self) -> None:
        """Who waits gets an answer now, with what is known."""
        self.closing = True
        for followed in list(self._pollers.values()):
            followed.tell(None)

    def close(self) -> None:
        for followed in list(self._pollers.values()):
            followed.task.cancel()

    def _at(self, place: tuple[str, str]) -> SessionPoller | None:
        """One that has just ended is forgotten a moment later, but calls nobody any more."""
        followed = self._pollers.get(place)
        return None if followed is None or followed.task.done() else followed

    def _forget(self, place: tuple[str, str], followed: SessionPoller) -> None:
        if self._pollers.get(place) is followed:
            del self._pollers[place]
            self.freed(place[0])

    def _poke(self, written: WriteEvent) -> None:
        """What was just told to a session soon shows in it."""
        place = (written.owner, bare(written.ids.get("session_id", "")))
        followed = self._pollers.get(place)
        now = self._api.clock.now()
        if written.route.method == "POST":
            self._told = {
                one: when for one, when in self._told.items() if when > now - MESSAGE_VISIBILITY_LAG
            } | {place: now}
        if followed is not None:
            followed.told_at = self._told.get(place, -MESSAGE_VISIBILITY_LAG)
            followed.touched()


def bare(session_id: str) -> str:
    """Both spellings of an id are one session (v1.md §3.1)."""
    return session_id.removeprefix("devin-")
