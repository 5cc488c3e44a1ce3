"""Every way a call can fail: what happened, whether anything changed, and what to do next.

DevinError
├── NotSent                 the request did not reach Devin; nothing changed
├── ReplyLost               the request left, no usable reply came back; it may have happened
├── Refused                 Devin (or this server, by its own rules) refused; nothing changed
│   ├── BadKey              no key, a wrong key, or a key of another API
│   ├── OutOfQuota          403 with a billing text: the organization is out of ACUs
│   ├── NotAllowed          the key, the session's state or this server's settings forbid it
│   │   └── CapReached      a cap on spending of this server: --max-acu, --max-sessions
│   ├── NotFound            no such thing for this key
│   ├── Declined            the user declined
│   ├── Invalid             the arguments are wrong
│   ├── NotReady            the session is still starting
│   ├── TooManySessions     the organization's cap on parallel sessions
│   └── SlowDown            the request rate; carries `retry_after` in seconds where Devin said it
└── Broken                  5xx, unreadable, not the documented shape, or not from Devin at all

Source of the statuses: devin-api/v1.md §8, v3.md §11.
"""

from __future__ import annotations

from typing import ClassVar

from devin_mcp.keys import WHERE_TO_GET_A_KEY


class DevinError(Exception):
    """`message` states the facts. `advice` says what to do next; sentences that name a hidden tool
    are removed from it.
    """

    kind: ClassVar[str] = "devin_error"
    advice_by_default: ClassVar[str] = ""

    def __init__(
        self, message: str, advice: str | None = None, *, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = self.advice_by_default if advice is None else advice
        self.status = status

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class NotSent(DevinError):
    kind = "not_sent"
    advice_by_default = "Nothing was changed; it is safe to try again."


class ReplyLost(DevinError):
    kind = "reply_lost"
    advice_by_default = "It may have been carried out. Look before trying again."


class Refused(DevinError):
    kind = "refused"
    advice_by_default = "Nothing was changed."
    named_fields: frozenset[str] = frozenset()
    """Fields of the request that Devin's reason names."""


class BadKey(Refused):
    kind = "bad_key"
    advice_by_default = (
        f"Nothing was changed. Make a key {WHERE_TO_GET_A_KEY}, "
        "set it as DEVIN_API_KEY and restart the server; `devin-mcp --sandbox` works without a key."
    )


class OutOfQuota(Refused):
    kind = "out_of_quota"
    advice_by_default = (
        "The key is fine and reading still works, but nothing was started. "
        "Somebody has to add ACUs under Settings > Billing in the Devin web app; trying again will "
        "not help before that."
    )


class NotAllowed(Refused):
    kind = "not_allowed"


class CapReached(NotAllowed):
    kind = "cap_reached"


class NotFound(Refused):
    kind = "not_found"
    advice_by_default = (
        "Nothing was changed. Take the id from one of the list tools; this key sees its own "
        "organization only."
    )


class Declined(Refused):
    kind = "declined"
    advice_by_default = "Nothing was changed. Do not try again unless the user asks for it."


class Invalid(Refused):
    kind = "invalid"
    advice_by_default = "Nothing was changed. Correct the arguments and call again."


class NotReady(Refused):
    kind = "not_ready"
    advice_by_default = "Nothing was delivered. Wait half a minute and send it again."


class TooManySessions(Refused):
    kind = "too_many_sessions"
    advice_by_default = (
        "Nothing was started. A waiting session still occupies a slot: end one that is no longer "
        "needed with devin_terminate_session, or try again in a few minutes."
    )


class SlowDown(Refused):
    kind = "slow_down"

    def __init__(
        self, message: str, *, retry_after: float | None = None, status: int | None = None
    ) -> None:
        wait = "about a minute" if retry_after is None else f"{max(1, round(retry_after))} seconds"
        super().__init__(message, f"Nothing was changed. Try again in {wait}.", status=status)
        self.retry_after = retry_after


class Broken(DevinError):
    kind = "broken"
    advice_by_default = (
        "Nothing was changed. Try again in a minute; if it stays so, look at Devin's status page."
    )
