"""Operator policy: spending caps, session rate limit, local file roots, allowed environment
variables.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Protocol

from devin_mcp.api.clock import Clock
from devin_mcp.errors import CapReached, Invalid, NotAllowed, NotSent, Refused
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.local_files import LocalFiles
from devin_mcp.settings.environment import environment_value
from devin_mcp.settings.toolsets import DEFAULT_TOOLSETS, Toolset

HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class Policy:
    """What the operator allows. Over HTTP there are no files and no variables."""

    result_limit: int
    """Characters of a tool result."""
    max_acu: int | None = None
    """Highest spending cap of a session, and the cap of a call that gives none."""
    readable_files: LocalFiles = field(default_factory=LocalFiles)
    writable_files: LocalFiles = field(default_factory=LocalFiles)
    toolsets: frozenset[Toolset] = DEFAULT_TOOLSETS
    """Those that have a tool on this server."""
    secret_variables: frozenset[str] = frozenset()
    """Environment variables whose values may be sent to Devin."""

    def acu_limit(self, requested: int | None) -> int | None:
        """The spending cap to send. Raises CapReached above the operator's maximum."""
        if self.max_acu is None:
            return requested
        if requested is None:
            return self.max_acu
        if requested > self.max_acu:
            raise CapReached(
                f"max_acu_limit is above this server's limit of {self.max_acu} (--max-acu).",
                f"Nothing was started. Ask for at most {self.max_acu}.",
            )
        return requested

    def secret_value(self, value: str | None, variable: str | None) -> str:
        """A secret's value: given directly, or read from an allowed environment variable."""
        if variable is None:
            if value is None:
                source = "value or value_from_env" if self.secret_variables else "value"
                raise Invalid(f"A secret needs {source}.")
            return value
        if value is not None:
            raise Invalid("Give value or value_from_env, not both.")
        if variable not in self.secret_variables:
            allowed = ", ".join(sorted(self.secret_variables)) or "none"
            raise NotAllowed(
                "That variable may not be handed over.",
                f"Nothing was sent. Allowed with --allow-secret-env: {allowed}.",
            )
        secret = environment_value(variable)
        if not secret:
            raise Invalid(
                "That variable is not set where this server runs.",
                "Nothing was sent. Set it and restart the server.",
            )
        redactor.hide([secret])
        return secret


class SharedSessionCount(Protocol):
    """The sessions that all replicas have started within the last hour."""

    async def has_room(self, key_fingerprint: str, max_sessions: int) -> bool:
        """False if the limit is reached."""
        ...

    async def add(self, key_fingerprint: str, max_sessions: int, member: str) -> bool:
        """Count a start unless the limit is reached. Returns whether the start may go on."""
        ...

    async def remove(self, key_fingerprint: str, member: str) -> None:
        """Undo `add`."""
        ...


@dataclass
class Reservation:
    """A start that is counted."""

    undo: Callable[[], Awaitable[None]]
    """For a start that created no new session."""
    request: asyncio.Task[Any] | None = None
    """What starts the session; it may outlive its call."""

    async def undo_if_it_failed(self) -> None:
        """Wait for the request, and undo the count if it provably changed nothing."""
        if self.request is None:
            await self.undo()
            return
        await asyncio.wait({self.request})
        if self.request.cancelled():
            return
        if isinstance(self.request.exception(), NotSent | Refused):
            await self.undo()


@dataclass
class SessionRateLimit:
    """Refuses a session if its key has started too many within the last hour.

    Counts the sessions of this process, and with `shared` those of all replicas.
    """

    max_sessions: int
    clock: Clock
    shared: SharedSessionCount | None = None
    _started_at: dict[str, deque[float]] = field(default_factory=dict)
    """Key fingerprint -> time of each start."""
    _undoing: set[asyncio.Task[None]] = field(default_factory=set)

    async def check(self, key_fingerprint: str) -> None:
        """Raises CapReached if the limit is reached."""
        self._check_own(key_fingerprint)
        shared = self.shared
        if shared is not None and not await shared.has_room(key_fingerprint, self.max_sessions):
            raise self._is_reached()

    @asynccontextmanager
    async def reserve(self, key_fingerprint: str) -> AsyncIterator[Reservation]:
        """Count a start before it is sent. The count is undone if the start provably failed, also
        after its call was cancelled.
        """
        self._check_own(key_fingerprint)
        now, member, shared = self.clock.now(), token_hex(8), self.shared
        times = self._started_at.setdefault(key_fingerprint, deque())
        times.append(now)

        async def undo() -> None:
            with suppress(ValueError):
                times.remove(now)
            if shared is not None:
                await shared.remove(key_fingerprint, member)

        reservation = Reservation(undo)
        try:
            if shared is not None and not await shared.add(
                key_fingerprint, self.max_sessions, member
            ):
                raise self._is_reached()
            yield reservation
        except (NotSent, Refused):
            await undo()
            raise
        except asyncio.CancelledError:
            undoing = asyncio.ensure_future(reservation.undo_if_it_failed())
            self._undoing.add(undoing)
            undoing.add_done_callback(self._undoing.discard)
            raise

    def _check_own(self, key_fingerprint: str) -> None:
        self._drop_expired()
        if len(self._started_at.get(key_fingerprint, ())) >= self.max_sessions:
            raise self._is_reached()

    def _is_reached(self) -> CapReached:
        started = (
            "1 session was" if self.max_sessions == 1 else f"{self.max_sessions} sessions were"
        )
        return CapReached(
            f"With this key, {started} started within the last hour, the server's limit "
            "(--max-sessions).",
            "Nothing was started. Go on with a running session, or ask the person who runs this "
            "server to raise --max-sessions.",
        )

    def _drop_expired(self) -> None:
        expired = self.clock.now() - HOUR_SECONDS
        for key_fingerprint, times in list(self._started_at.items()):
            while times and times[0] <= expired:
                times.popleft()
            if not times:
                del self._started_at[key_fingerprint]
