"""The account behind the key: its API, its owner, its organization, and what it may read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from devin_mcp.api.models import Acknowledgement
from devin_mcp.api.organization import GET_SELF
from devin_mcp.errors import BadKey, DevinError, NotAllowed, NotFound
from devin_mcp.keys import API_TITLES
from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.browsing import ResourceContent, resource
from devin_mcp.operations.catalog import OPERATIONS, Operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.markdown import facts
from devin_mcp.settings.toolsets import TOOLSETS

PRINCIPALS = {
    "service_user": "service user",
    "pat_user": "person (personal access token)",
}
"""v3 `principal_type` -> its name (v3.md §1)."""


@dataclass(frozen=True)
class Account:
    """What a key is and what it may read."""

    api: str
    principal: str
    """Kind and name of the owner; empty on v1, which does not say."""
    org_id: str
    """Empty on v1, and if it cannot be determined."""
    problem: DevinError | None
    """Why the organization cannot be determined."""
    readable: list[str]
    """Toolsets whose lists the key may read."""
    refused: dict[str, DevinError]
    """Toolset -> why its list cannot be read."""


async def read_account(ctx: Context) -> Account:
    """Who the key is, and one list of each toolset. Raises BadKey if Devin does not accept it."""
    principal, org_id, problem = "", "", None
    if ctx.has(GET_SELF):
        owner = await ctx.client.organizations.principal(ctx)
        kind = PRINCIPALS.get(owner.principal_type, quote_line(owner.principal_type))
        principal = f"{kind} {quote_line(owner.name)}" if owner.name else kind
    try:
        org_id = await ctx.organization()
    except BadKey:
        raise
    except DevinError as error:
        problem = error
    lists = [] if problem else [operation for operation in OPERATIONS if _is_list(ctx, operation)]
    outcomes = await asyncio.gather(*(_try_to_read(ctx, operation) for operation in lists))
    by_toolset = {
        operation.toolset: outcome for operation, outcome in zip(lists, outcomes, strict=True)
    }
    asked = [toolset for toolset in TOOLSETS if toolset in by_toolset]
    return Account(
        API_TITLES[ctx.key.api],
        principal,
        org_id,
        problem,
        [toolset.name for toolset in asked if by_toolset[toolset] is None],
        {
            toolset.name: refusal
            for toolset in asked
            if (refusal := by_toolset[toolset]) is not None
        },
    )


def _is_list(ctx: Context, operation: Operation[Any, Any]) -> bool:
    """True for an operation of this server that reads and needs no id."""
    if not ctx.has(operation) or operation.toolset not in ctx.policy.toolsets:
        return False
    endpoint = ctx.endpoint(operation)
    return endpoint.is_read and endpoint.placeholders <= {"org_id"}


async def _try_to_read(ctx: Context, operation: Operation[Any, Any]) -> DevinError | None:
    """The refusal, if there is one. Raises what says nothing about the key, and BadKey."""
    query = {"first": 1} if ctx.endpoint(operation).is_paged else None
    try:
        await ctx.send(operation, Acknowledgement, query=query)
    except (NotAllowed, NotFound) as refusal:
        return refusal
    return None


@resource("devin://account")
async def account(ctx: Context) -> ResourceContent:
    """The account behind the key: API, owner, organization, and what the key may read."""

    async def load() -> Account:
        return await read_account(ctx.detached())

    found = await ctx.cache.get(ctx.key.tenant, "account", load)
    head = facts(
        owner=found.principal,
        organization=found.org_id,
        reads=", ".join(found.readable),
        may_not_read=", ".join(found.refused),
    )
    problem = str(found.problem) if found.problem else ""
    return ResourceContent(f"# Account\n\n- API: {found.api}\n{head}".rstrip(), problem)
