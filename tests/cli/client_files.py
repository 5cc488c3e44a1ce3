"""Reads what `devin-mcp config` prints for a client."""

from __future__ import annotations

import json
import tomllib
from typing import Any

_GROUPS = {"vs-code": "servers", "zed": "context_servers", "codex": "mcp_servers"}
"""Client -> the key of its servers, where that is not mcpServers."""


def parse(name: str, text: str) -> dict[str, Any]:
    contents: dict[str, Any] = tomllib.loads(text) if name == "codex" else json.loads(text)
    return contents


def entry_in(name: str, text: str) -> dict[str, Any]:
    """The only server entry in a client's configuration."""
    ((_, entry),) = parse(name, text)[_GROUPS.get(name, "mcpServers")].items()
    server: dict[str, Any] = entry
    return server
