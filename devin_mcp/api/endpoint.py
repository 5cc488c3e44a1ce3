"""Endpoints of Devin's API: method, path template, and whether a request may be repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from devin_mcp.errors import Invalid

RETRY_SAFE_METHODS = frozenset({"GET", "PUT", "DELETE"})
"""Idempotent methods (RFC 9110 §9.2.2). PATCH and POST are not."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NOT_ONE_SEGMENT = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Endpoint:
    """One operation of the API, such as `GET /v1/sessions/{session_id}`."""

    operation_id: str
    """Key of everything that depends on the operation: caches, log fields, replication messages."""
    method: str
    template: str
    retry_safe: bool
    """True if sending the request twice has the effect of sending it once."""
    creates_session: bool = False
    """429 from such an endpoint usually is the limit of parallel sessions (v1.md §8)."""
    if_reply_lost: str | None = None
    """Advice for ReplyLost."""
    route: str = field(init=False)
    """`METHOD template`, for logs, metrics and spans: it contains no ids."""
    is_read: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "route", f"{self.method} {self.template}")
        object.__setattr__(self, "is_read", self.method == "GET")

    @classmethod
    def parse(
        cls,
        operation_id: str,
        route: str,
        *,
        retry_safe: bool | None = None,
        creates_session: bool = False,
        if_reply_lost: str | None = None,
    ) -> Endpoint:
        """From `METHOD template`. `retry_safe` follows from the method unless it is given."""
        method, template = route.split(" ")
        if retry_safe is None:
            retry_safe = method in RETRY_SAFE_METHODS
        return cls(operation_id, method, template, retry_safe, creates_session, if_reply_lost)

    def path(self, ids: Mapping[str, str]) -> str:
        """The path for these ids. Each is checked to be one path segment, then percent-encoded.

        Raises Invalid for anything that could leave its segment, such as `../secrets/x`.
        """

        def fill(placeholder: re.Match[str]) -> str:
            name = placeholder[1]
            value = ids[name]
            if not value or value in {".", ".."} or _NOT_ONE_SEGMENT.search(value):
                raise Invalid(f"The {name} is not a plain id.")
            return quote(value, safe="")

        return _PLACEHOLDER.sub(fill, self.template)


class HasEndpoint(Protocol):
    """What a request is sent for: an operation of the catalog."""

    @property
    def v1(self) -> Endpoint | None: ...
