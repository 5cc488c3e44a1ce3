"""Operator policy: spending caps, session rate limit, local file roots, allowed environment
variables.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from devin_mcp.api.clock import Clock
from devin_mcp.errors import Invalid, NotAllowed, NotSent, Refused
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.local_files import LocalFiles
from devin_mcp.settings.environment import environment_value

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
    secret_variables: frozenset[str] = frozenset()
    """Environment variables whose values may be sent to Devin."""

    def acu_limit(self, requested: int | None) -> int | None:
        """The spending cap to send. Raises NotAllowed above the operator's maximum."""
        if self.max_acu is None:
            return requested
        if requested is None:
            return self.max_acu
        if requested > self.max_acu:
            raise NotAllowed(
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


@dataclass
class SessionRateLimit:
    """Refuses a session if its key has started too many within the last hour.

    Counts only sessions started through this process.
    """

    max_sessions: int
    clock: Clock
    _started_at: dict[str, deque[float]] = field(default_factory=dict)
    """Key fingerprint -> time of each start."""

    def check(self, key_fingerprint: str) -> None:
        """Raises NotAllowed if the limit is reached."""
        self._drop_expired()
        count = len(self._started_at.get(key_fingerprint, ()))
        if count >= self.max_sessions:
            raise NotAllowed(
                f"This server has started {count} sessions within the last hour, its limit "
                "(--max-sessions).",
                "Nothing was started. Go on with a running session, or ask the person who runs "
                "this server to raise --max-sessions.",
            )

    @contextmanager
    def reserve(self, key_fingerprint: str) -> Iterator[Callable[[], None]]:
        """Count a start before it is sent. The count is undone if the start provably failed.

        Yields a function that undoes it, for a start that created no new session.
        """
        self.check(key_fingerprint)
        now = self.clock.now()
        times = self._started_at.setdefault(key_fingerprint, deque())
        times.append(now)

        def release() -> None:
            with suppress(ValueError):
                times.remove(now)

        try:
            yield release
        except (NotSent, Refused):
            release()
            raise

    def _drop_expired(self) -> None:
        expired = self.clock.now() - HOUR_SECONDS
        for key_fingerprint, times in list(self._started_at.items()):
            while times and times[0] <= expired:
                times.popleft()
            if not times:
                del self._started_at[key_fingerprint]
