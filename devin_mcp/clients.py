"""How each client is told of this server: one description, from which the snippets, files and links come.

Keys are asked for or referred to where a client can do that, and never pasted into a file.
Shapes: each client's own documentation, as of November 2026 (mcp.md E).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

KEY = "DEVIN_API_KEY"
HEADER = "X-Devin-Api-Key"
PASTE = "apk_..."
"""Where a client can neither ask nor refer: the person puts the key there."""


@dataclass(frozen=True)
class Wanted:
    """What is to be connected: the command on this machine, or a server at an address."""

    command: str
    args: tuple[str, ...] = ()
    url: str = ""

    @property
    def needs_key(self) -> bool:
        return "--sandbox" not in self.args

    @property
    def name(self) -> str:
        return "devin" if self.needs_key else "devin-sandbox"

    def local(self, key: str) -> dict[str, Any]:
        """Command, arguments and environment, as most clients write them."""
        return {"command": self.command, "args": list(self.args), **({"env": {KEY: key}} if self.needs_key else {})}

    def remote(self, key: str, address: str = "url") -> dict[str, Any]:
        return {address: self.url, "headers": {HEADER: key}}

    def entry(self, key: str, address: str = "url") -> dict[str, Any]:
        return self.remote(key, address) if self.url else self.local(key)


@dataclass(frozen=True)
class Client:
    """A client: what it is called, where its file is, and what stands in it."""

    title: str
    file: str
    """Where it keeps its configuration; `~` is the home directory."""
    contents: Callable[[Wanted], dict[str, Any]]
    note: str = ""
    links: Mapping[str, Callable[[Wanted], str]] = field(default_factory=dict)
    """Name -> address that installs it at a click."""

    @property
    def ending(self) -> str:
        return "toml" if self.file.endswith(".toml") else "json"


def _servers(key: str, address: str = "url", under: str = "mcpServers") -> Callable[[Wanted], dict[str, Any]]:
    return lambda wanted: {under: {wanted.name: wanted.entry(key, address)}}


def _claude_code(wanted: Wanted) -> dict[str, Any]:
    kind = {"type": "http"} if wanted.url else {"type": "stdio"}
    return {"mcpServers": {wanted.name: kind | wanted.entry(f"${{{KEY}}}")}}


def _vs_code(wanted: Wanted) -> dict[str, Any]:
    kind = {"type": "http"} if wanted.url else {"type": "stdio"}
    asked = {"type": "promptString", "id": "devin_key", "description": "Devin API key", "password": True}
    inputs = [asked] if wanted.needs_key or wanted.url else []
    return {"inputs": inputs, "servers": {wanted.name: kind | wanted.entry("${input:devin_key}")}}


def _codex(wanted: Wanted) -> dict[str, Any]:
    if wanted.url:
        entry: dict[str, Any] = {"url": wanted.url, "env_http_headers": {HEADER: KEY}}
    else:
        entry = {"command": wanted.command, "args": list(wanted.args), **({"env_vars": [KEY]} if wanted.needs_key else {})}
    return {"mcp_servers": {wanted.name: entry | {"tool_timeout_sec": 120}}}


def _gemini(wanted: Wanted) -> dict[str, Any]:
    kind = {"type": "http"} if wanted.url else {}
    return {"mcpServers": {wanted.name: kind | wanted.entry(f"${KEY}") | {"timeout": 120_000}}}


def _vs_code_link(quality: str = "") -> Callable[[Wanted], str]:
    """Through the editor's own site, since pages that show a README open no vscode: address."""

    def link(wanted: Wanted) -> str:
        whole = _vs_code(wanted)
        inputs, config = (_quoted(one) for one in (whole["inputs"], whole["servers"][wanted.name]))
        return f"https://insiders.vscode.dev/redirect/mcp/install?name={wanted.name}&inputs={inputs}&config={config}{quality}"

    return link


def _quoted(value: object) -> str:
    return quote(json.dumps(value, separators=(",", ":")), safe="")


def _cursor_link(wanted: Wanted) -> str:
    config = json.dumps(wanted.entry(f"${{env:{KEY}}}"), separators=(",", ":")).encode()
    return f"https://cursor.com/en/install-mcp?name={wanted.name}&config={quote(base64.b64encode(config).decode(), safe='')}"


CLIENTS: Mapping[str, Client] = {
    "claude-desktop": Client(
        "Claude Desktop", "{desktop}/claude_desktop_config.json", _servers(PASTE), "Put your key where apk_... stands, and restart it.",
    ),
    "claude-code": Client("Claude Code", ".mcp.json", _claude_code, f"It takes the key from {KEY} of its own environment."),
    "vs-code": Client(
        "VS Code", ".vscode/mcp.json", _vs_code, "It asks for the key once and keeps it as a secret.",
        {"VS Code": _vs_code_link(), "VS Code Insiders": _vs_code_link("&quality=insiders")},
    ),
    "cursor": Client(
        "Cursor", "~/.cursor/mcp.json", _servers(f"${{env:{KEY}}}"), f"It takes the key from {KEY}.", {"Cursor": _cursor_link},
    ),
    "windsurf": Client(
        "Windsurf", "~/.codeium/windsurf/mcp_config.json", _servers(f"${{env:{KEY}}}", "serverUrl"), f"It takes the key from {KEY}.",
    ),
    "zed": Client("Zed", "~/.config/zed/settings.json", _servers(PASTE, under="context_servers"), "Put your key where apk_... stands."),
    "codex": Client("Codex", "~/.codex/config.toml", _codex, f"It passes {KEY} on from its own environment."),
    "gemini": Client("Gemini CLI", "~/.gemini/settings.json", _gemini, f"It takes the key from {KEY}."),
    "json": Client("any other", "mcp.json", _servers(PASTE), "Put your key where apk_... stands."),
}  # fmt: skip


PUBLISHED = Wanted("uvx", ("devin-mcp",))
"""The released package, as manifests/ and the links name it."""


def rendered(name: str, wanted: Wanted) -> str:
    """What stands in the client's file, in ASCII, whatever the path to the command is."""
    contents = CLIENTS[name].contents(wanted)
    if CLIENTS[name].ending == "json":
        return json.dumps(contents, indent=2) + "\n"
    import tomlkit

    return re.sub(r"[^ -~\n]", lambda letter: f"\\U{ord(letter[0]):08x}", tomlkit.dumps(contents))
