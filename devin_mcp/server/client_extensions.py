"""Which extensions (SEP-2133) a client declares: on each request, or before 2026-07-28 once."""

from __future__ import annotations

from typing import Any

from devin_mcp.server.context import RequestContext


def declared_extension(ctx: RequestContext, identifier: str) -> dict[str, Any] | None:
    """The client's settings of the extension; None if it does not declare it."""
    capabilities = ctx.session.client_capabilities
    extensions = capabilities.extensions if capabilities else None
    return extensions.get(identifier) if extensions else None
