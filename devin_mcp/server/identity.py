"""The caller's identity: which Devin key a request uses, and what the caller may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from devin_mcp.keys import DevinKey, fingerprint
from devin_mcp.server.visibility import UNRESTRICTED, Restriction

IDENTITY_KEY = "devin_mcp.identity"
"""Key of the Identity in the ASGI scope of an authenticated request."""


@dataclass(frozen=True)
class Identity:
    """One caller. Over stdio there is only one, with the server's own key."""

    key: DevinKey
    name: str | None = None
    """As logged; None where callers are not told apart."""
    restriction: Restriction = UNRESTRICTED
    peer: str | None = None
    """Address of the client, as far as the proxies in between are trusted; None over stdio."""
    subject: str = ""
    """The full OAuth subject, where `name` is only a part of it."""
    is_still_valid: Callable[[], bool] = field(default=lambda: True, repr=False)
    """Re-validates the credential; checked every 5 s for open listen streams."""

    @property
    def who(self) -> dict[str, str]:
        """Who calls, for log lines."""
        who = {"caller": self.name, "peer": self.peer}
        return {name: text for name, text in who.items() if text}

    @property
    def principal(self) -> str:
        """What limits and sealed questions are bound to: caller and key together."""
        return f"{self.key.fingerprint}:{fingerprint(self.subject or self.name or '')}"
