"""Endpoints of Devin's APIs: method, path template, and whether a request may be repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, quote

from devin_mcp.errors import Invalid
from devin_mcp.keys import DevinApi

RETRY_SAFE_METHODS = frozenset({"GET", "PUT", "DELETE"})
"""Idempotent methods (RFC 9110 §9.2.2). PATCH and POST are not."""
ORGANIZATION_PATH = "/v3/organizations/{org_id}"
"""What a v3 route is below, unless it begins with /v3 itself."""
BETA_PREFIX = "/v3beta1/"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NOT_ONE_SEGMENT = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Endpoint:
    """One operation of one API, such as `GET /v1/sessions/{session_id}`."""

    operation_id: str
    """Key of everything that depends on the operation: caches, log fields, replication messages."""
    api: DevinApi
    method: str
    template: str
    retry_safe: bool
    """True if sending the request twice has the effect of sending it once."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Query parameters that are sent unless a request overrides them."""
    permission: str = ""
    """What a key needs (v3.md §2); empty if unknown."""
    creates_session: bool = False
    """429 from such an endpoint usually is the limit of parallel sessions (v1.md §8)."""
    if_reply_lost: str | None = None
    """Advice for ReplyLost."""
    owner: str = "Devin"
    """Who answers, as the subject of a sentence."""
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
        api: DevinApi,
        route: str,
        *,
        retry_safe: bool | None = None,
        permission: str = "",
        creates_session: bool = False,
        if_reply_lost: str | None = None,
    ) -> Endpoint:
        """From `METHOD template?query`. `retry_safe` follows from the method unless it is given.

        A v3 template is below the organization unless it begins with /v3.
        """
        method, target = route.split(" ")
        template, _, query = target.partition("?")
        if api == "v3" and not template.startswith("/v3"):
            template = f"{ORGANIZATION_PATH}{template}"
        if retry_safe is None:
            retry_safe = method in RETRY_SAFE_METHODS
        return cls(
            operation_id,
            api,
            method,
            template,
            retry_safe,
            dict(parse_qsl(query)),
            permission,
            creates_session,
            if_reply_lost,
        )

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of the ids in the path."""
        return frozenset(_PLACEHOLDER.findall(self.template))

    @property
    def needs_organization(self) -> bool:
        return "org_id" in self.placeholders

    @property
    def is_paged(self) -> bool:
        """True if it returns pages with cursors (v3.md §3)."""
        return "first" in self.query

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


class HasEndpoints(Protocol):
    """What a request is sent for: an operation of the catalog, or a lookup."""

    @property
    def v1(self) -> Endpoint | None: ...

    @property
    def v3(self) -> Endpoint | None: ...


@dataclass(frozen=True)
class Lookup:
    """A request that operations use and that is no tool of its own, such as GET of one note."""

    v1: Endpoint | None = None
    v3: Endpoint | None = None

    @classmethod
    def declare(
        cls, operation_id: str, *, v1: str = "", v3: str = "", permission: str = ""
    ) -> Lookup:
        """Both are routes as in `Endpoint.parse`; empty where an API has none."""
        return cls(
            Endpoint.parse(operation_id, "v1", v1) if v1 else None,
            Endpoint.parse(operation_id, "v3", v3, permission=permission) if v3 else None,
        )


def endpoint_for(operation: HasEndpoints, api: DevinApi) -> Endpoint | None:
    """None if the API has no such operation, and for a workflow."""
    return operation.v1 if api == "v1" else operation.v3
