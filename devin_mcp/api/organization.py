"""Who a key of the Organization API is, and the organization that its requests are about (v3.md §1,
v3-additions.md §1).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, Self, TypeVar

from pydantic import BaseModel, Field

from devin_mcp.api.clock import Clock, Deadline
from devin_mcp.api.endpoint import Endpoint, HasEndpoints, Lookup
from devin_mcp.api.models import ApiModel, ItemList
from devin_mcp.errors import BadKey, DevinError, Invalid, NotAllowed, NotSent, Refused
from devin_mcp.keys import ORG_ID_HEADER, ORG_ID_PATTERN, DevinKey
from devin_mcp.observability.printable import quote_line

GET_SELF = Lookup.declare("get_self", v3="GET /v3/self")
LIST_ORGANIZATIONS = Lookup.declare(
    "list_organizations", v3="GET /v3/enterprise/organizations?first=200"
)

MAX_KEYS = 1000
"""Keys whose organization is remembered; the least recently used is forgotten first."""
PRINCIPAL_TTL_SECONDS = 300.0
"""Age of a principal that still proves that Devin accepts the key."""
MAX_NAME_CHARS = 80
MAX_NAMED = 5
"""Organizations that an error names."""
HOW_TO_CHOOSE = (
    f"Set DEVIN_ORG_ID or --org-id; over HTTP, callers with their own key send {ORG_ID_HEADER}."
)


ModelT = TypeVar("ModelT", bound=BaseModel)


class Call(Protocol):
    """What is needed of an ApiCall (call.py)."""

    @property
    def key(self) -> DevinKey: ...

    @property
    def deadline(self) -> Deadline: ...

    def detached(self) -> Self: ...

    async def send(self, operation: HasEndpoints, returns: type[ModelT], /) -> ModelT: ...


OrgId = Annotated[str, Field(pattern=rf"^{ORG_ID_PATTERN.pattern}$")]
"""Stands in paths and in our sentences; any other text counts as not given."""


class Principal(ApiModel):
    """The owner of a key: a service user, or a person with a personal access token (PAT)."""

    principal_type: str = ""
    service_user_name: str | None = None
    user_name: str | None = None
    org_id: OrgId | None = None
    devin_sessions_org_id: OrgId | None = None

    @property
    def name(self) -> str:
        return self.service_user_name or self.user_name or ""

    @property
    def organization_id(self) -> str | None:
        """Where the sessions of this key are; a service user has `org_id` only."""
        return self.devin_sessions_org_id or self.org_id


class OrganizationRow(ApiModel):
    """An organization of an enterprise key."""

    org_id: OrgId
    name: str = ""


MAX_NAME_CHARS = 60
"""Of an owner in the log."""


@dataclass
class _Remembered:
    principal: Principal
    read_at: float


class Organizations:
    """Finds the organization of each key once; one per process. A failure is not remembered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._org_ids: OrderedDict[str, str] = OrderedDict()
        """Key fingerprint -> organization id."""
        self._principals: OrderedDict[str, _Remembered] = OrderedDict()
        self._searches: dict[str, asyncio.Task[str]] = {}
        """Key fingerprint -> the search that all callers with this key wait for."""

    async def find(self, call: Call) -> str:
        """The organization id: the chosen one, or else the one that the key belongs to.

        Raises Invalid if the key has several, BadKey if Devin does not accept it, else NotSent.
        """
        key = call.key
        if key.org_id:
            return key.org_id
        if key.fingerprint in self._org_ids:
            self._org_ids.move_to_end(key.fingerprint)
            return self._org_ids[key.fingerprint]
        search = self._searches.get(key.fingerprint)
        if search is None:
            search = asyncio.ensure_future(self._search(call.detached()))
            self._searches[key.fingerprint] = search
            search.add_done_callback(lambda done: self._store(key.fingerprint, done))
        try:
            async with asyncio.timeout(call.deadline.seconds_left()):
                return await asyncio.shield(search)
        except TimeoutError:
            raise NotSent("Devin did not say in time which organization the key is for.") from None
        except Refused:
            raise
        except DevinError as error:
            raise NotSent(
                f"Which organization the key is for could not be read. {error.message}",
                status=error.status,
            ) from None

    async def principal(self, call: Call) -> Principal:
        """Who the key is, as it was read at most PRINCIPAL_TTL_SECONDS ago.

        Raises BadKey if Devin does not accept the key, or another of errors.py.
        """
        remembered = self._principals.get(call.key.fingerprint)
        if remembered and remembered.read_at > self._clock.now() - PRINCIPAL_TTL_SECONDS:
            return remembered.principal
        principal = await call.send(GET_SELF, Principal)
        self._principals[call.key.fingerprint] = _Remembered(principal, self._clock.now())
        _forget_oldest(self._principals)
        return principal

    def known_name(self, fingerprint: str) -> str | None:
        """The name of a key's owner, if it was read before. No request is sent."""
        remembered = self._principals.get(fingerprint)
        return None if remembered is None else remembered.principal.name[:MAX_NAME_CHARS] or None

    async def explain_refusal(
        self, call: Call, refusal: NotAllowed, endpoint: Endpoint
    ) -> DevinError:
        """What a 403 means: a bad key, another organization, or a missing permission."""
        try:
            principal = await self.principal(call)
        except BadKey as bad_key:
            return bad_key
        except DevinError:
            return refusal
        own, chosen = principal.org_id, call.key.org_id
        if own and chosen and chosen not in {own, principal.devin_sessions_org_id}:
            refusal.message = (
                f"The organization {chosen} was chosen, but the key belongs to {own} (403)."
            )
            refusal.advice = f"Nothing was changed. {HOW_TO_CHOOSE} Or leave it out."
        elif endpoint.permission:
            causes = [f"it lacks the permission {endpoint.permission}"]
            if chosen and not own:
                causes.append(f"the chosen organization {chosen} is none of its own")
            if endpoint.placeholders > {"org_id"}:
                causes.append("what the id names is gone")
            refusal.advice = "Nothing was changed. Devin accepts the key, so " + (
                f"either {', or '.join(causes)}." if len(causes) > 1 else f"{causes[0]}."
            )
        return refusal

    async def _search(self, call: Call) -> str:
        principal = await self.principal(call)
        if principal.organization_id:
            return principal.organization_id
        try:
            page = await call.send(LIST_ORGANIZATIONS, ItemList[OrganizationRow])
        except NotAllowed:
            raise Invalid(
                "Devin does not say which organization this key is for.",
                f"Nothing was changed. {HOW_TO_CHOOSE} The id is shown in the Devin web app under "
                "Settings > Service users.",
            ) from None
        rows = page.items
        if len(rows) == 1 and not page.has_next_page:
            return rows[0].org_id
        raise Invalid(_several(rows), f"Nothing was changed. {HOW_TO_CHOOSE}")

    def _store(self, key_fingerprint: str, search: asyncio.Task[str]) -> None:
        del self._searches[key_fingerprint]
        if not search.cancelled() and search.exception() is None:
            self._org_ids[key_fingerprint] = search.result()
            _forget_oldest(self._org_ids)


def _several(rows: list[OrganizationRow]) -> str:
    if not rows:
        return "This key has no organization."
    names = ", ".join(
        f"{quote_line(row.name, MAX_NAME_CHARS)} ({row.org_id})" for row in rows[:MAX_NAMED]
    )
    more = f" and {len(rows) - MAX_NAMED} more" if len(rows) > MAX_NAMED else ""
    count = str(len(rows)) if len(rows) > 1 else "more than one of the"
    return f"This key has {count} organizations: {names}{more}."


def _forget_oldest(entries: OrderedDict[str, Any]) -> None:
    while len(entries) > MAX_KEYS:
        entries.popitem(last=False)
