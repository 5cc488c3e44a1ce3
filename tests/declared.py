"""The tools that the operations declare. Tests compare with these names instead of a number, so
that a new operation changes no test.
"""

from __future__ import annotations

from devin_mcp.keys import DEFAULT_API, DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import Effect
from devin_mcp.settings.toolsets import DEFAULT_TOOLSETS, Toolset


def declared_tools(
    *effects: Effect,
    api: DevinApi = DEFAULT_API,
    toolsets: frozenset[Toolset] = DEFAULT_TOOLSETS,
) -> set[str]:
    """Names of the tools with these effects, by default all, on one API, by default that of a
    server without a key.
    """
    return {
        operation.tool_name
        for operation in OPERATIONS
        if (not effects or operation.effect in effects)
        and api in operation.apis
        and operation.toolset in toolsets
    }
