"""`devin-mcp tools`: lists the tools that the settings enable, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from devin_mcp.operations import Operation
from devin_mcp.server.build import own_key
from devin_mcp.server.tools import published_tools
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings import Settings


def json_bytes(tools: list[dict[str, Any]]) -> int:
    """Bytes of the tools in compact JSON."""
    return len(json.dumps(tools, separators=(",", ":")))


def effect_of(operation: Operation[Any, Any]) -> str:
    return f"{operation.effect.value}, spends" if operation.spends else operation.effect.value


def print_tools(settings: Settings, *, as_json: bool) -> int:
    """Print the tools that the settings enable. Returns the exit status.

    Raises SettingsError if a setting names an unknown tool.
    """
    visible = visible_tools(settings, "stdio").of_api(own_key(settings).api)
    tools = published_tools(visible)
    if as_json:
        json.dump({"tools": tools}, sys.stdout, indent=2)
        print()
        return 0
    print(f"{'toolset':<12} {'tool':<26} {'effect':<15} description")
    for operation, tool in zip(visible.operations, tools, strict=True):
        sentence = tool["description"].split(". ")[0].rstrip(".")
        print(f"{operation.toolset:<12} {tool['name']:<26} {effect_of(operation):<15} {sentence}.")
    print(f"\n{len(tools)} tools, {json_bytes(tools):,} bytes in tools/list")
    return 0
