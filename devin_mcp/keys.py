"""Devin API keys: their shape, the API each belongs to, and a fingerprint that may be stored and
logged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

DevinApi = Literal["v1", "v3"]
KeyState = Literal["missing", "placeholder", "other_api", "usable"]

API_BY_PREFIX: dict[str, DevinApi] = {"apk_": "v1", "cog_": "v3"}
PERSONAL_V1_PREFIX = "apk_user_"
SERVED_API: DevinApi = "v1"
SANDBOX_KEY = "apk_sandbox"
KEY_HEADER = "X-Devin-Api-Key"
"""Carries a caller's key over HTTP (--auth caller-key)."""

KEY_PATTERN = re.compile(r"(?:apk|cog)_[A-Za-z0-9_+/=.~-]{4,508}")
"""A whole key. Redaction searches for it in texts, the HTTP server accepts nothing else as a
caller's key.
"""
V1_KEY_PREFIX_HINT = "v1 keys start with apk_"
WHERE_TO_GET_A_KEY = f"in the Devin web app under Settings > API keys ({V1_KEY_PREFIX_HINT})"

KEY_PROBLEMS: dict[KeyState, str] = {
    "missing": "There is no Devin API key, so nothing was sent.",
    "placeholder": "Where the Devin API key belongs is a placeholder that nobody filled in; "
    "nothing was sent.",
    "other_api": "This is a cog_ key. Those belong to the Organization API (v3), which is not "
    f"served yet; {V1_KEY_PREFIX_HINT}.",
}

_PLACEHOLDER = re.compile(r"[{}<>$%\u2026]|^apk_(user_)?[.x*]*$|^your", re.IGNORECASE)
"""What client configuration files contain until somebody enters a key."""


@dataclass(frozen=True)
class DevinKey:
    """One API key, made once where it enters the process. Blanks and line ends of a mounted file
    are cut off.
    """

    text: str = field(repr=False)
    fingerprint: str = field(init=False)
    """SHA-256 in hex. Caches, pollers and connections are kept under it."""
    state: KeyState = field(init=False)

    def __post_init__(self) -> None:
        text = self.text.strip()
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "fingerprint", fingerprint(text))
        object.__setattr__(self, "state", key_state(text))


def fingerprint(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def api_of(text: str) -> DevinApi | None:
    """The API that a key belongs to, by its prefix; None for an unknown prefix."""
    return next((api for prefix, api in API_BY_PREFIX.items() if text.startswith(prefix)), None)


def is_placeholder(text: str) -> bool:
    """True for a text such as ${DEVIN_API_KEY} or apk_..., which stands where a key belongs."""
    return _PLACEHOLDER.search(text.strip()) is not None


def key_state(text: str) -> KeyState:
    """What is known of a key before it is sent. A key of unknown shape counts as usable: Devin
    decides.
    """
    if not text:
        return "missing"
    if is_placeholder(text):
        return "placeholder"
    return "other_api" if api_of(text) not in {None, SERVED_API} else "usable"
