"""The tools that the operations declare. Tests compare with these names instead of a number, so
that a new operation changes no test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from devin_mcp.keys import DEFAULT_API, DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import Effect, Operation
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


def on_each_api(
    condition: Callable[[Operation[Any, Any]], bool],
) -> pytest.MarkDecorator:
    """Run a test that takes `api` and `operation` with each operation for which the condition
    holds, on each API that has it. It has to enable all toolsets.
    """
    cases = [
        pytest.param(api, operation, id=f"{api}-{operation.operation_id}")
        for operation in OPERATIONS
        if condition(operation)
        for api in sorted(operation.apis)
    ]
    return pytest.mark.parametrize(("api", "operation"), cases, indirect=["api"])
