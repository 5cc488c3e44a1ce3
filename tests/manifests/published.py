"""The contents of manifests/ for clients and registries, generated from the code.

`UPDATE_DOCS=1 pytest tests/manifests` writes the files; without it they are compared.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Any

from devin_mcp import __version__
from devin_mcp.cli.client_configs import CLIENTS, PUBLISHED, rendered
from devin_mcp.cli.server_entry import KEY
from devin_mcp.keys import KEY_PAGES, KEY_PREFIX_HINT
from devin_mcp.server import skills
from devin_mcp.server.tools import published_tools
from devin_mcp.settings import SETTINGS
from devin_mcp.settings.parsers import OneOf
from devin_mcp.settings.setting import Setting
from tests.conventions.test_schemas import FULL
from tests.manifests.dashboard import dashboard

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

REGISTRY_NAME = "io.github.devin-mcp/devin-mcp"
"""The publisher must own the part before the slash. The registry checks that the README repeats the
name."""
SUMMARY = "Hand Devin a task from any MCP client, follow it, answer it, take the pull request."
"""At most 100 characters, the limit of the registry."""
AUTHOR = {"name": "The devin-mcp authors"}
ORG_ID = "DEVIN_ORG_ID"
KEY_DESCRIPTION = f"From the Devin web app, {KEY_PAGES} ({KEY_PREFIX_HINT})."
ORGANIZATION: dict[str, Any] = {
    "type": "string",
    "title": "Organization id",
    "description": "Only if a cog_ key has several organizations: the one to work in (org-1a2b).",
    "required": False,
}
"""Without it the key decides."""


def server_json() -> dict[str, Any]:
    """The MCP registry's file, schema 2025-12-11."""
    variables = [_variable(setting) for setting in SETTINGS if "stdio" in setting.commands]
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
        "description": SUMMARY,
        "version": __version__,
        "packages": [package],
    }


def _variable(setting: Setting) -> dict[str, Any]:
    variable: dict[str, Any] = {
        "name": setting.env,
        "description": setting.help,
        "format": setting.kind,
    }
    if setting.env == KEY:
        variable |= {"isRequired": True, "placeholder": "cog_..."}
    if setting.secret:
        variable["isSecret"] = True
    if setting.default not in (None, "", (), False):
        variable["default"] = (
            f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)
        )
    if isinstance(setting.parse, OneOf) and not setting.is_list:
        variable["choices"] = list(setting.parse.choices)
    return variable


def bundle() -> dict[str, Any]:
    """The bundle for Claude Desktop, which has uv. MCPB manifest 0.4.

    `--project` and not `--directory`: the directory of the server's own code must not become its
    files root.
    """
    command = {
        "command": "uv",
        "args": ["run", "--quiet", "--project", "${__dirname}", "devin-mcp"],
        "env": {
            KEY: "${user_config.api_key}",
            ORG_ID: "${user_config.org_id}",
            "DEVIN_MCP_READ_ONLY": "${user_config.read_only}",
        },
    }
    return {
        "manifest_version": "0.4",
        "name": PROJECT["name"],
        "display_name": "Devin",
        "version": __version__,
        "description": SUMMARY,
        "author": AUTHOR,
        "icon": "icon.png",
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
        "server": {"type": "uv", "entry_point": "devin_mcp/__main__.py", "mcp_config": command},
        "tools": [
            {"name": tool["name"], "description": _first(tool["description"])}
            for tool in published_tools(FULL["v1"])
        ],
        "tools_generated": True,
        "prompts_generated": True,
        "user_config": {
            "api_key": {
                "type": "string",
                "title": "Devin API key",
                "description": KEY_DESCRIPTION,
                "sensitive": True,
                "required": True,
            },
            "org_id": ORGANIZATION | {"default": ""},
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


def prometheus_rule() -> str:
    """The alerts as an object of the Prometheus Operator."""
    file = "prometheus/alerts.yml"
    groups = (MANIFESTS / file).read_text().partition("\ngroups:\n")[2]
    return (
        f"# Generated from manifests/{file}: UPDATE_DOCS=1 pytest tests/manifests.\n"
        "apiVersion: monitoring.coreos.com/v1\n"
        "kind: PrometheusRule\n"
        "metadata:\n"
        "  name: devin-mcp\n"
        "  labels: {app.kubernetes.io/name: devin-mcp}\n"
        "spec:\n"
        f"{indent('groups:' + chr(10) + groups, '  ')}"
    )


def plugin() -> dict[str, Any]:
    """The plugin for Claude Code: the server and the skill."""
    server = replace(PUBLISHED, env={ORG_ID: "${user_config.org_id}"})
    return {
        "name": "devin",
        "version": __version__,
        "description": SUMMARY,
        "author": AUTHOR,
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
        "userConfig": {
            "api_key": {
                "type": "string",
                "title": "Devin API key",
                "description": KEY_DESCRIPTION,
                "sensitive": True,
                "required": True,
            },
            "org_id": ORGANIZATION,
        },
        "mcpServers": {PUBLISHED.name: server.entry(lambda _: "${user_config.api_key}")},
    }


def marketplace() -> dict[str, Any]:
    """A marketplace with one plugin, so that Claude Code can add the folder."""
    return {
        "name": "devin-mcp",
        "description": "Devin from Claude Code.",
        "owner": AUTHOR,
        "plugins": [
            {"name": "devin", "source": "./", "description": SUMMARY, "version": __version__}
        ],
    }


def _first(text: str) -> str:
    return re.split(r"(?<=\.)\s", text)[0]


def _help(name: str) -> str:
    text = next(setting.help for setting in SETTINGS if setting.name == name)
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
    "claude-code-plugin/skills/delegating-to-devin/SKILL.md": skills.FILE.read_text,
    "grafana/devin-mcp.json": partial(_as_json, dashboard),
    "kubernetes/components/monitoring/rules.yaml": prometheus_rule,
}
"""Path below manifests/ -> a function that returns the contents."""
