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
TOKEN = "DEVIN_CALLER_TOKEN"  # noqa: S105 - a variable's name
HEADER = "X-Devin-Api-Key"
BRIDGE = "mcp-remote@0.15.1"
"""Turns an address into a command, for a client that knows only commands."""

Refer = Callable[[str], str]
"""From a variable's name to how a client's file asks for its value."""


@dataclass(frozen=True)
class ServerEntry:
    """What is to be connected: the command on this machine, or a server at an address and how it lets callers in."""

    command: str
    args: tuple[str, ...] = ()
    url: str = ""
    auth: str = "caller-key"
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "devin-sandbox" if "--sandbox" in self.args else "devin"

    @property
    def secret(self) -> str:
        """The variable with what it needs to know; empty when it needs nothing."""
        if self.url:
            return {"caller-key": KEY, "token": TOKEN}.get(self.auth, "")
        return "" if "--sandbox" in self.args else KEY

    def headers(self, refer: Refer) -> dict[str, str]:
        if not self.secret:
            return {}
        return (
            {HEADER: refer(KEY)}
            if self.secret == KEY
            else {"Authorization": f"Bearer {refer(TOKEN)}"}
        )

    def entry(self, refer: Refer, address: str = "url") -> dict[str, Any]:
        """As most clients write it."""
        if self.url:
            headers = self.headers(refer)
            return {address: self.url, **({"headers": headers} if headers else {})}
        env = {**self.env, **({KEY: refer(KEY)} if self.secret else {})}
        return {"command": self.command, "args": list(self.args), **({"env": env} if env else {})}

    @property
    def kind(self) -> dict[str, str]:
        return {"type": "http" if self.url else "stdio"}


@dataclass(frozen=True)
class Client:
    """A client: what it is called, where its file is, and what stands in it."""

    title: str
    file: str
    """Where it keeps its configuration; `~` is the home directory, a path without one is in the project."""
    contents: Callable[[ServerEntry], dict[str, Any]]
    note: str
    """How the secret gets there: `{secret}` is the variable, `{held}` what stands in its place."""
    links: Mapping[str, Callable[[ServerEntry], str]] = field(default_factory=dict)
    """Name -> address that installs it at a click."""

    @property
    def ending(self) -> str:
        return "toml" if self.file.endswith(".toml") else "json"

    @property
    def of_a_project(self) -> bool:
        return not self.file.startswith(("~", "{"))

    def advice(self, wanted: ServerEntry) -> str:
        return (
            self.note.format(secret=wanted.secret, held=_pasted(wanted.secret))
            if wanted.secret
            else ""
        )


def _pasted(variable: str) -> str:
    """Where a client can neither ask nor refer: the person puts it there."""
    return "apk_..." if variable == KEY else "your-token"


def _braced(variable: str) -> str:
    return f"${{{variable}}}"


def _env(variable: str) -> str:
    return f"${{env:{variable}}}"


def _asked(variable: str) -> str:
    return f"${{input:{_input_of(variable)['id']}}}"


def _input_of(variable: str) -> dict[str, Any]:
    name, words = (
        ("devin_key", "Devin API key")
        if variable == KEY
        else ("devin_token", "Token for the Devin server")
    )
    return {"type": "promptString", "id": name, "description": words, "password": True}


def _servers(
    refer: Refer, address: str = "url", under: str = "mcpServers"
) -> Callable[[ServerEntry], dict[str, Any]]:
    return lambda wanted: {under: {wanted.name: wanted.entry(refer, address)}}


def _claude_desktop(wanted: ServerEntry) -> dict[str, Any]:
    """Its file takes commands only."""
    if not wanted.url:
        return _servers(_pasted)(wanted)
    args, env = ["-y", BRIDGE, wanted.url], {}
    for name, value in wanted.headers(
        _pasted
    ).items():  # by a variable, since on Windows no space survives in args
        args += ["--header", f"{name}:${{{wanted.secret}}}"]
        env = {"env": {wanted.secret: value}}
    return {"mcpServers": {wanted.name: {"command": "npx", "args": args, **env}}}


def _claude_code(wanted: ServerEntry) -> dict[str, Any]:
    return {"mcpServers": {wanted.name: wanted.kind | wanted.entry(_braced)}}


def _vs_code(wanted: ServerEntry) -> dict[str, Any]:
    inputs = [_input_of(wanted.secret)] if wanted.secret else []
    return {"inputs": inputs, "servers": {wanted.name: wanted.kind | wanted.entry(_asked)}}


def _codex(wanted: ServerEntry) -> dict[str, Any]:
    """It names variables instead of writing values."""
    entry: dict[str, Any]
    if wanted.url:
        entry = {"url": wanted.url}
        if wanted.secret:
            entry |= (
                {"env_http_headers": {HEADER: KEY}}
                if wanted.secret == KEY
                else {"bearer_token_env_var": TOKEN}
            )
    else:
        entry = {"command": wanted.command, "args": list(wanted.args)}
        entry |= {"env_vars": [KEY]} if wanted.secret else {}
        entry |= {"env": dict(wanted.env)} if wanted.env else {}
    return {"mcp_servers": {wanted.name: entry | {"tool_timeout_sec": 120}}}


def _gemini(wanted: ServerEntry) -> dict[str, Any]:
    kind = wanted.kind if wanted.url else {}
    return {"mcpServers": {wanted.name: kind | wanted.entry("${}".format) | {"timeout": 120_000}}}


def _vs_code_link(quality: str = "") -> Callable[[ServerEntry], str]:
    """Through the editor's own site, since pages that show a README open no vscode: address."""

    def link(wanted: ServerEntry) -> str:
        whole = _vs_code(wanted)
        inputs, config = (_quoted(one) for one in (whole["inputs"], whole["servers"][wanted.name]))
        return f"https://insiders.vscode.dev/redirect/mcp/install?name={wanted.name}&inputs={inputs}&config={config}{quality}"

    return link


def _quoted(value: object) -> str:
    return quote(json.dumps(value, separators=(",", ":")), safe="")


def _cursor_link(wanted: ServerEntry) -> str:
    config = json.dumps(wanted.entry(_env), separators=(",", ":")).encode()
    return f"https://cursor.com/en/install-mcp?name={wanted.name}&config={quote(base64.b64encode(config).decode(), safe='')}"


PASTE = "Put yours where {held} stands, and restart it."
FROM_THE_DESKTOP = "It reads the variable {secret}: start it from a shell that has that, or set it for the whole desktop."
FROM_THE_SHELL = "It reads the variable {secret} of the shell it is started in."

CLIENTS: Mapping[str, Client] = {
    "claude-desktop": Client(
        "Claude Desktop", "{desktop}/claude_desktop_config.json", _claude_desktop, PASTE
    ),
    "claude-code": Client("Claude Code", ".mcp.json", _claude_code, FROM_THE_SHELL),
    "vs-code": Client(
        "VS Code",
        ".vscode/mcp.json",
        _vs_code,
        "It asks once and keeps it as a secret.",
        {"VS Code": _vs_code_link(), "VS Code Insiders": _vs_code_link("&quality=insiders")},
    ),
    "cursor": Client(
        "Cursor", "~/.cursor/mcp.json", _servers(_env), FROM_THE_DESKTOP, {"Cursor": _cursor_link}
    ),
    "windsurf": Client(
        "Windsurf",
        "~/.codeium/windsurf/mcp_config.json",
        _servers(_env, "serverUrl"),
        FROM_THE_DESKTOP,
    ),
    "zed": Client("Zed", "{zed}/settings.json", _servers(_pasted, under="context_servers"), PASTE),
    "codex": Client("Codex", "~/.codex/config.toml", _codex, FROM_THE_SHELL),
    "gemini": Client("Gemini CLI", "~/.gemini/settings.json", _gemini, FROM_THE_SHELL),
    "json": Client("any other", "mcp.json", _servers(_pasted), PASTE),
}

PUBLISHED = ServerEntry("uvx", ("devin-mcp",))
"""The released package, as manifests/ and the links name it."""


def rendered(name: str, wanted: ServerEntry) -> str:
    """What stands in the client's file, in ASCII, whatever the path to the command is."""
    contents = CLIENTS[name].contents(wanted)
    if CLIENTS[name].ending == "json":
        return json.dumps(contents, indent=2) + "\n"
    import tomlkit

    return re.sub(r"[^ -~\n]", lambda letter: f"\\U{ord(letter[0]):08x}", tomlkit.dumps(contents))
