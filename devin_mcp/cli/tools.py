"""`devin-mcp tools`: lists the tools that the settings enable, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from devin_mcp.operations import Operation
from devin_mcp.operations.capabilities import WRITE
from devin_mcp.server.build import own_tools
from devin_mcp.server.tools import published_tools
from devin_mcp.settings import Settings
from devin_mcp.settings.toolsets import ALL, DEFAULT, TOOLSETS, Toolset

BYTES_PER_TOKEN = 4
"""Of JSON in English, roughly."""


def json_bytes(value: Any) -> int:
    """Bytes of compact JSON."""
    return len(json.dumps(value, separators=(",", ":")))


def bytes_read(tool: dict[str, Any]) -> int:
    """Bytes of a tool that a model reads: name, description and input schema."""
    return json_bytes([tool["name"], tool["description"], tool["inputSchema"]])


def tokens_of(size: int) -> str:
    """What so many bytes cost, about."""
    return f"{size // BYTES_PER_TOKEN:,}"


def effect_of(operation: Operation[Any, Any]) -> str:
    if operation.writes_with is WRITE:
        return "read or change"
    return f"{operation.effect.value}, spends" if operation.spends else operation.effect.value


def print_tools(settings: Settings, *, as_json: bool) -> int:
    """Print the tools that the settings enable, and all toolsets. Returns the exit status.

    Raises SettingsError if a setting names an unknown tool, or if no tool is left.
    """
    visible = own_tools(settings, "stdio")
    tools = published_tools(visible)
    if as_json:
        json.dump({"tools": tools}, sys.stdout, indent=2)
        print()
        return 0
    print(f"{'toolset':<13} {'tool':<29} {'effect':<15} {'tokens':>6}  description")
    for operation, tool in zip(visible.operations, tools, strict=True):
        sentence = tool["description"].split(". ")[0].rstrip(".")
        print(
            f"{operation.toolset.name:<13} {tool['name']:<29} {effect_of(operation):<15} "
            f"{tokens_of(bytes_read(tool)):>6}  {sentence}."
        )
    size = sum(map(bytes_read, tools))
    print(
        f"\n{len(tools)} tools. A model reads names, descriptions and inputs: {size:,} bytes, "
        f"about {tokens_of(size)} tokens.\n"
        f"tools/list has {json_bytes(tools):,} bytes, outputs included.\n"
    )
    _print_toolsets(settings, visible.toolsets)
    return 0


def _print_toolsets(settings: Settings, enabled: frozenset[Toolset]) -> None:
    """All toolsets of the API with what each costs, whatever is enabled."""
    visible = own_tools(replace(settings, toolsets=(ALL,), tools=(), exclude_tools=()), "stdio")
    sizes: dict[Toolset, list[int]] = {toolset: [] for toolset in TOOLSETS}
    for operation, tool in zip(visible.operations, published_tools(visible), strict=True):
        sizes[operation.toolset].append(bytes_read(tool))
    print(f"{'toolset':<13} {'is':<4} {'tools':>5} {'bytes':>6} {'tokens':>6}  what its tools do")
    existing = {toolset: tool_sizes for toolset, tool_sizes in sizes.items() if tool_sizes}
    for toolset, tool_sizes in existing.items():
        size, state = sum(tool_sizes), "on" if toolset in enabled else "off"
        print(
            f"{toolset.name:<13} {state:<4} {len(tool_sizes):>5} {size:>6,} {tokens_of(size):>6}  "
            f"{toolset.description}"
        )
    off = [toolset.name for toolset in existing if toolset not in enabled]
    if off:
        words = ",".join([*(settings.toolsets or (DEFAULT,)), off[-1]])
        print(
            f"\nOff: {', '.join(off)}. For example --toolsets {words} switches one on, "
            f"--toolsets {ALL} all of them."
        )
