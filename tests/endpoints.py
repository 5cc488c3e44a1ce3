"""The endpoints of operations and lookups by id, and the paths that they match."""

from __future__ import annotations

import re

from devin_mcp.api.endpoint import Endpoint, HasEndpoints, Lookup
from devin_mcp.api.organization import GET_SELF, LIST_ORGANIZATIONS
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.knowledge.listing import GET_NOTE, LIST_FOLDERS
from devin_mcp.operations.schedules.listing import GET_SCHEDULE
from devin_mcp.operations.sessions.archive import UNARCHIVE_SESSION
from devin_mcp.operations.sessions.insights import GENERATE_INSIGHTS
from devin_mcp.operations.sessions.listing import LIST_MEMBERS
from devin_mcp.operations.sessions.message_pages import LIST_MESSAGES
from devin_mcp.operations.usage import GET_SESSION_USAGE
from devin_mcp.operations.waiting.batch import SESSIONS_BY_ID

LOOKUPS: tuple[Lookup, ...] = (
    GENERATE_INSIGHTS,
    GET_SCHEDULE,
    GET_SELF,
    GET_SESSION_USAGE,
    GET_NOTE,
    LIST_FOLDERS,
    LIST_MEMBERS,
    LIST_MESSAGES,
    LIST_ORGANIZATIONS,
    SESSIONS_BY_ID,
    UNARCHIVE_SESSION,
)
"""Requests that are no operations."""


def endpoints_of(operation_id: str) -> list[Endpoint]:
    """The endpoints of an operation or lookup, by its id."""
    declarations: tuple[HasEndpoints, ...] = (*OPERATIONS, *LOOKUPS)
    for declared in declarations:
        endpoints = [item for item in (declared.v1, declared.v3) if item is not None]
        if endpoints and endpoints[0].operation_id == operation_id:
            return endpoints
    raise LookupError(f"nothing with the id {operation_id} has an endpoint")


def path_pattern(endpoint: Endpoint) -> str:
    return re.sub(r"\{\w+\}", "[^/]+", endpoint.template)
