"""What manifests/ holds for clients and registries, made from the code: nothing in it is written twice.

`UPDATE_DOCS=1 pytest tests/manifests` writes the files; without it they are compared.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from devin_mcp import __version__
from devin_mcp.cli.client_configs import CLIENTS, KEY, PUBLISHED, rendered
from devin_mcp.cli.tools import published_tools
from devin_mcp.settings.parsers import OneOf
from devin_mcp.settings.setting import Setting
from devin_mcp.settings.settings import SETTINGS
from tests.conventions.test_schemas import FULL

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

REGISTRY_NAME = "io.github.devin-mcp/devin-mcp"
"""Whoever publishes must own the part before the slash; the README repeats it, which is how the registry checks."""
SHORT = "Hand Devin a task from any MCP client, follow it, answer it, take the pull request."
"""At most 100 characters, which is what the registry takes."""
AUTHOR = {"name": "The devin-mcp authors"}
ABOUT_THE_KEY = "From the Devin web app, Settings > API keys. v1 keys start with apk_."


def server_json() -> dict[str, Any]:
    """For the MCP registry, schema 2025-12-11."""
    variables = [_variable(one) for one in SETTINGS if "stdio" in one.commands]
    package = {
        "registryType": "pypi",
        "identifier": PROJECT["name"],
        "version": __version__,
        "runtimeHint": PUBLISHED.command,
        "transport": {"type": "stdio"},
        "environmentVariables": variables,
    }
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": REGISTRY_NAME,
        "title": "Devin",
        "description": SHORT,
        "version": __version__,
        "packages": [package],
    }


def _variable(one: Setting) -> dict[str, Any]:
    found: dict[str, Any] = {"name": one.env, "description": one.help, "format": one.kind}
    if one.env == KEY:
        found |= {"isRequired": True, "placeholder": "apk_..."}
    if one.secret:
        found["isSecret"] = True
    if one.default not in (None, "", (), False):
        found["default"] = (
            f"{one.default:g}" if isinstance(one.default, float) else str(one.default)
        )
    if isinstance(one.parse, OneOf) and not one.many:
        found["choices"] = list(one.parse.choices)
    return found


def bundle() -> dict[str, Any]:
    """For Claude Desktop, which installs it at a double click and brings uv. MCPB manifest 0.4.

    `--project` and not `--directory`: the server must not take the place where its own code lies for a place for files.
    """
    command = {
        "command": "uv",
        "args": ["run", "--quiet", "--project", "${__dirname}", "devin-mcp"],
        "env": {KEY: "${user_config.api_key}", "DEVIN_MCP_READ_ONLY": "${user_config.read_only}"},
    }
    return {
        "manifest_version": "0.4",
        "name": PROJECT["name"],
        "display_name": "Devin",
        "version": __version__,
        "description": SHORT,
        "author": AUTHOR,
        "icon": "icon.png",
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
        "server": {"type": "uv", "entry_point": "devin_mcp/__main__.py", "mcp_config": command},
        "tools": [
            {"name": tool["name"], "description": _first(tool["description"])}
            for tool in published_tools(FULL)
        ],
        "tools_generated": True,
        "prompts_generated": True,
        "user_config": {
            "api_key": {
                "type": "string",
                "title": "Devin API key",
                "description": ABOUT_THE_KEY,
                "sensitive": True,
                "required": True,
            },
            "read_only": {
                "type": "boolean",
                "title": "Only read",
                "description": _help("read_only"),
                "required": False,
                "default": False,
            },
        },
        "compatibility": {
            "platforms": ["darwin", "linux", "win32"],
            "runtimes": {"python": PROJECT["requires-python"]},
        },
    }


def plugin() -> dict[str, Any]:
    """For Claude Code: the server, and the skill beside it."""
    return {
        "name": "devin",
        "version": __version__,
        "description": SHORT,
        "author": AUTHOR,
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
        "userConfig": {
            "api_key": {
                "type": "string",
                "title": "Devin API key",
                "description": ABOUT_THE_KEY,
                "sensitive": True,
                "required": True,
            },
        },
        "mcpServers": {PUBLISHED.name: PUBLISHED.entry(lambda _: "${user_config.api_key}")},
    }


def marketplace() -> dict[str, Any]:
    """A marketplace of one, so that the folder can be added to Claude Code as it is."""
    return {
        "name": "devin-mcp",
        "description": "Devin from Claude Code.",
        "owner": AUTHOR,
        "plugins": [
            {"name": "devin", "source": "./", "description": SHORT, "version": __version__}
        ],
    }


def _first(text: str) -> str:
    return re.split(r"(?<=\.)\s", text)[0]


def _help(name: str) -> str:
    text = next(one.help for one in SETTINGS if one.name == name)
    return f"{text[0].upper()}{text[1:]}."


def _as_json(contents: Callable[[], dict[str, Any]]) -> str:
    return json.dumps(contents(), indent=2) + "\n"


FILES: Mapping[str, Callable[[], str]] = {
    **{
        f"clients/{name}.{client.suffix}": partial(rendered, name, PUBLISHED)
        for name, client in CLIENTS.items()
    },
    "server.json": partial(_as_json, server_json),
    "mcpb/manifest.json": partial(_as_json, bundle),
    "claude-code-plugin/.claude-plugin/plugin.json": partial(_as_json, plugin),
    "claude-code-plugin/.claude-plugin/marketplace.json": partial(_as_json, marketplace),
}
"""Path below manifests/ -> what stands in it."""
