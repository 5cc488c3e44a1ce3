"""Devin API keys: their shape, the API and organization each belongs to, and a fingerprint that may
be stored and logged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

DevinApi = Literal["v1", "v3"]
KeyState = Literal["missing", "placeholder", "login_token", "usable"]

API_BY_PREFIX: dict[str, DevinApi] = {"apk_": "v1", "cog_": "v3"}
PREFIX_BY_API = {api: prefix for prefix, api in API_BY_PREFIX.items()}
API_TITLES: dict[DevinApi, str] = {"v1": "v1", "v3": "the Organization API (v3)"}
PERSONAL_V1_PREFIX = "apk_user_"
DEFAULT_API: DevinApi = "v1"
"""Of a key of unknown shape, and of a server without a key."""
SANDBOX_KEYS: dict[DevinApi, str] = {"v1": "apk_sandbox", "v3": "cog_sandbox"}
KEY_HEADER = "X-Devin-Api-Key"
"""Carries a caller's key over HTTP (--auth caller-key)."""
ORG_ID_HEADER = "X-Devin-Org-Id"
"""Carries the organization of a caller's key over HTTP (--auth caller-key)."""

KEY_PATTERN = re.compile(r"(?:apk|cog)_[A-Za-z0-9_+/=.~-]{4,508}")
"""A whole key. Redaction searches for it in texts, the HTTP server accepts nothing else as a
caller's key.
"""
LOGIN_TOKEN_PREFIX = "devin-session-token$"  # noqa: S105 - a prefix, not a token
ORG_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""An organization id, such as org-1a2b (v3.md §1)."""
KEY_PREFIX_HINT = "keys start with cog_, those of the deprecated v1 with apk_"
KEY_PAGES = "Settings > Service users or Settings > API keys"
WHERE_TO_GET_A_KEY = f"in the Devin web app under {KEY_PAGES} ({KEY_PREFIX_HINT})"

LOGIN_TOKEN_PROBLEM = "This is the login token of the Devin CLI, not an API key."  # noqa: S105 - a sentence
KEY_PROBLEMS: dict[KeyState, str] = {
    "missing": "There is no Devin API key, so nothing was sent.",
    "placeholder": "Where the Devin API key belongs is a placeholder that nobody filled in; "
    "nothing was sent.",
    "login_token": f"{LOGIN_TOKEN_PROBLEM} Nothing was sent.",
}

_PLACEHOLDER = re.compile(r"[{}<>$%\u2026]|^(apk_(user_)?|cog_)[.x*]*$|^your", re.IGNORECASE)
"""What client configuration files contain until somebody enters a key."""


@dataclass(frozen=True)
class DevinKey:
    """One API key and its organization, made once where they enter the process. Blanks and line
    ends of a mounted file are cut off.
    """

    text: str = field(repr=False)
    org_id: str = ""
    """The organization that was chosen for the key; empty if the key decides. v1 has none."""
    default_api: DevinApi = DEFAULT_API
    """The API of a key whose prefix is unknown (DEVIN_API)."""
    api: DevinApi = field(init=False)
    fingerprint: str = field(init=False)
    """SHA-256 of the key in hex. Limits and connections are kept under it."""
    tenant: str = field(init=False)
    """SHA-256 of key and organization in hex. Caches, pollers, idempotency keys and subscriptions
    are kept under it."""
    state: KeyState = field(init=False)

    @property
    def label(self) -> str:
        """What a log says of the key. `printf %s "$KEY" | sha256sum` begins alike."""
        return f"key:{self.fingerprint[:LABEL_DIGITS]}"

    def __post_init__(self) -> None:
        text = self.text.strip()
        api = api_of(text) or self.default_api
        org_id = self.org_id if api == "v3" else ""
        values = {
            "text": text,
            "org_id": org_id,
            "api": api,
            "fingerprint": fingerprint(text),
            "tenant": fingerprint(f"{api} {text} {org_id}"),
            "state": key_state(text),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)


LABEL_DIGITS = 12
"""Of the fingerprint, in a log."""


def fingerprint(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def api_of(text: str) -> DevinApi | None:
    """The API that a key belongs to, by its prefix; None for an unknown prefix."""
    return next((api for prefix, api in API_BY_PREFIX.items() if text.startswith(prefix)), None)


def is_placeholder(text: str) -> bool:
    """True for a text such as ${DEVIN_API_KEY} or cog_..., which stands where a key belongs."""
    text = text.strip()
    return not text.startswith(LOGIN_TOKEN_PREFIX) and _PLACEHOLDER.search(text) is not None


def key_state(text: str) -> KeyState:
    """What a key is before it is sent. A key of unknown shape counts as usable: Devin decides."""
    if not text:
        return "missing"
    if text.startswith(LOGIN_TOKEN_PREFIX):
        return "login_token"
    return "placeholder" if is_placeholder(text) else "usable"
