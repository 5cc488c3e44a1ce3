"""Who asks, with whose key, and what is left to them: found by the transport, used by all that serves the request."""

from __future__ import annotations

from dataclasses import dataclass, field

from devin_mcp.api.pool import fingerprint
from devin_mcp.server.visibility import EVERYTHING, Narrowing


@dataclass(frozen=True)
class Identity:
    """One caller. Over stdio there is just one, with the server's own key."""

    key: str = field(repr=False)
    """Devin's, to be used for this request."""
    name: str | None = None
    """As the log has it; None where callers are not told apart."""
    narrowing: Narrowing = EVERYTHING

    @property
    def principal(self) -> str:
        """What a sealed question is bound to: another caller's answer is not this one's, nor is one for another key."""
        return f"{fingerprint(self.key)}:{self.name or ''}"
