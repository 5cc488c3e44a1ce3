"""`devin-mcp tools`: what these settings offer, as a table or just as a client gets it."""

from __future__ import annotations

import json
import sys
from typing import Any

from devin_mcp.operations import Operation
from devin_mcp.server.tools import tools_of
from devin_mcp.server.visibility import VisibleTools, visible_tools
from devin_mcp.settings.settings import Settings


def published_tools(view: VisibleTools) -> list[dict[str, Any]]:
    """The tools as `tools/list` answers them."""
    return [
        one.listed.model_dump(mode="json", by_alias=True, exclude_none=True)
        for one in tools_of(view).values()
    ]


def effect_of(operation: Operation[Any, Any]) -> str:
    return f"{operation.effect.value}, spends" if operation.spends else operation.effect.value


def print_tools(settings: Settings, *, as_json: bool) -> int:
    view = visible_tools(settings, "stdio")
    if as_json:
        json.dump({"tools": published_tools(view)}, sys.stdout, indent=2)
        print()
        return 0
    tools = published_tools(view)
    print(f"{'toolset':<12} {'tool':<26} {'effect':<15} answers with")
    for operation, tool in zip(view.operations, tools, strict=True):
        first = tool["description"].split(". ")[0].rstrip(".")
        print(f"{operation.toolset:<12} {tool['name']:<26} {effect_of(operation):<15} {first}.")
    size = len(json.dumps(tools, separators=(",", ":")))
    print(f"\n{len(tools)} tools, {size:,} bytes in tools/list")
    return 0
