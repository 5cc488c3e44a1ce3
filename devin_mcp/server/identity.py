"""Who asks, with whose key, and what is left to them: found by the transport, used by all that serves the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from devin_mcp.api.connections import fingerprint
from devin_mcp.server.visibility import UNRESTRICTED, Restriction


@dataclass(frozen=True)
class Identity:
    """One caller. Over stdio there is just one, with the server's own key."""

    key: str = field(repr=False)
    """Devin's, to be used for this request."""
    name: str | None = None
    """As the log has it; None where callers are not told apart."""
    narrowing: Restriction = UNRESTRICTED
    subject: str = ""
    """Who it is, whole, where the name is only a part of that."""
    is_still_valid: Callable[[], bool] = field(default=lambda: True, repr=False)
    """Whether the caller would be let in now: asked of those who stay for long."""

    @property
    def principal(self) -> str:
        """What a sealed question and limits are bound to: another caller is not this one, nor is one with another key."""
        return f"{fingerprint(self.key)}:{fingerprint(self.subject or self.name or '')}"
