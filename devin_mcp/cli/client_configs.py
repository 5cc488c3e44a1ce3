"""Configuration of MCP clients: the file of each client, its contents, and its install links.

Keys are never written into a file if the client can ask for them or read a variable. The formats
are those of each client's documentation, as of November 2026 (mcp.md E).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from devin_mcp.cli.server_entry import KEY, TOKEN, Reference, ServerEntry
from devin_mcp.keys import KEY_HEADER

BRIDGE = "mcp-remote@0.15.1"
"""npm package that connects a client without HTTP support to a remote server."""
TOOL_TIMEOUT_SECONDS = 120
"""For clients whose own timeout may be shorter than a call (50 s and a question to the user)."""
START_TIMEOUT_SECONDS = 90
"""For clients that fail without the server: uvx may have to download it first."""
SELDOM_USED_TOOLS = (
    "devin_create_session",
    "devin_list_secrets",
    "devin_create_secret",
    "devin_delete_secret",
    "devin_download_attachment",
    "devin_list_session_files",
    "devin_upload_attachment",
)
"""Left out where a client shows its model every tool. devin_delegate_task starts sessions and
uploads files, too.
"""


@dataclass(frozen=True)
class Client:
    """An MCP client and its configuration file."""

    title: str
    file: str
    """Path of the file: `~` is the home directory; a relative path is in the project."""
    contents: Callable[[ServerEntry], dict[str, Any]]
    key_note: str
    """How the secret reaches the server.

    `{secret}` is the name of its variable, `{placeholder}` its placeholder in the file, and
    `{what}` is "key" or "token".
    """
    links: Mapping[str, Callable[[ServerEntry], str]] = field(default_factory=dict)
    """Title -> URL that installs the server."""

    @property
    def suffix(self) -> str:
        return "toml" if self.file.endswith(".toml") else "json"

    @property
    def is_project_file(self) -> bool:
        return not self.file.startswith(("~", "{"))

    def key_hint(self, server: ServerEntry) -> str:
        """What the user has to do about the key or token; empty if none is needed."""
        if not server.secret:
            return ""
        return self.key_note.format(
            secret=server.secret,
            placeholder=_placeholder(server.secret),
            what="key" if server.secret == KEY else "token",
        )


def _placeholder(variable: str) -> str:
    """What the user replaces, for clients that can neither ask nor read a variable."""
    return "cog_..." if variable == KEY else "your-token"


def _braces(variable: str) -> str:
    return f"${{{variable}}}"


def _env_reference(variable: str) -> str:
    return f"${{env:{variable}}}"


def _input_reference(variable: str) -> str:
    return f"${{input:{_input(variable)['id']}}}"


def _input(variable: str) -> dict[str, Any]:
    """A question that VS Code asks once."""
    if variable == KEY:
        name, description = "devin_key", "Devin API key"
    else:
        name, description = "devin_token", "Token for the Devin server"
    return {"type": "promptString", "id": name, "description": description, "password": True}


def _servers(
    refer: Reference, url_name: str = "url", group: str = "mcpServers"
) -> Callable[[ServerEntry], dict[str, Any]]:
    return lambda server: {group: {server.name: server.entry(refer, url_name)}}


def _claude_desktop(server: ServerEntry) -> dict[str, Any]:
    """Its file can only contain commands."""
    if not server.url:
        return _servers(_placeholder)(server)
    args = ["-y", BRIDGE, server.url]
    entry: dict[str, Any] = {"command": "npx", "args": args}
    for name, value in server.secret_header(_placeholder).items():
        # The value is in a variable, because it may have a space, which breaks args on Windows.
        args += ["--header", f"{name}:${{{server.secret}}}"]
        entry["env"] = {server.secret: value}
    for name, value in server.plain_headers.items():
        args += ["--header", f"{name}:{value}"]
    return {"mcpServers": {server.name: entry}}


def _claude_code(server: ServerEntry) -> dict[str, Any]:
    return {"mcpServers": {server.name: server.type | server.entry(_braces)}}


def _vs_code(server: ServerEntry) -> dict[str, Any]:
    inputs = [_input(server.secret)] if server.secret else []
    return {
        "inputs": inputs,
        "servers": {server.name: server.type | server.entry(_input_reference)},
    }


def _codex(server: ServerEntry) -> dict[str, Any]:
    """Its file contains the names of variables instead of references."""
    entry: dict[str, Any]
    if server.url:
        entry = {"url": server.url}
        if server.secret == KEY:
            entry["env_http_headers"] = {KEY_HEADER: KEY}
        elif server.secret:
            entry["bearer_token_env_var"] = TOKEN
        if server.plain_headers:
            entry["http_headers"] = server.plain_headers
    else:
        entry = {"command": server.command, "args": list(server.args)}
        entry["startup_timeout_sec"] = START_TIMEOUT_SECONDS
        variables = [*([KEY] if server.secret else []), *server.network_variables]
        if variables:
            entry["env_vars"] = variables
        if server.env:
            entry["env"] = dict(server.env)
    # It sends its first request after a second, without a server that is not there yet.
    entry |= {"required": True, "tool_timeout_sec": TOOL_TIMEOUT_SECONDS}
    return {"mcp_servers": {server.name: entry}}


def _gemini(server: ServerEntry) -> dict[str, Any]:
    """It shows its model every tool with each request, and passes on no variable with CERT in its
    name (seen in 0.61.0).
    """
    entry = (server.type if server.url else {}) | server.entry("${}".format)
    not_passed_on = {name: f"${name}" for name in server.network_variables if "CERT" in name}
    if not_passed_on:
        entry["env"] = entry.get("env", {}) | not_passed_on
    if not server.selects_tools:
        entry["excludeTools"] = list(SELDOM_USED_TOOLS)
    return {"mcpServers": {server.name: entry | {"timeout": TOOL_TIMEOUT_SECONDS * 1000}}}


def _vs_code_link(quality: str = "") -> Callable[[ServerEntry], str]:
    """A link through VS Code's website, because GitHub does not render vscode: links."""

    def link(server: ServerEntry) -> str:
        contents = _vs_code(server)
        inputs = _quoted_json(contents["inputs"])
        config = _quoted_json(contents["servers"][server.name])
        return (
            "https://insiders.vscode.dev/redirect/mcp/install"
            f"?name={server.name}&inputs={inputs}&config={config}{quality}"
        )

    return link


def _quoted_json(value: object) -> str:
    return quote(json.dumps(value, separators=(",", ":")), safe="")


def _cursor_link(server: ServerEntry) -> str:
    entry = json.dumps(server.entry(_env_reference), separators=(",", ":")).encode()
    config = quote(base64.b64encode(entry).decode(), safe="")
    return f"https://cursor.com/en/install-mcp?name={server.name}&config={config}"


REPLACE_PLACEHOLDER = "Replace `{placeholder}` with your {what} and restart the client."
DESKTOP_VARIABLE = (
    "Reads the variable {secret}: launch the client from a shell where it is set, or set it "
    "system-wide."
)
SHELL_VARIABLE = "Reads the variable {secret}: set it in the shell that starts the client."

CLIENTS: Mapping[str, Client] = {
    "claude-desktop": Client(
        "Claude Desktop",
        "{claude_desktop}/claude_desktop_config.json",
        _claude_desktop,
        REPLACE_PLACEHOLDER,
    ),
    "claude-code": Client("Claude Code", ".mcp.json", _claude_code, SHELL_VARIABLE),
    "vs-code": Client(
        "VS Code",
        ".vscode/mcp.json",
        _vs_code,
        "Asks for the {what} once and stores it as a secret.",
        {"VS Code": _vs_code_link(), "VS Code Insiders": _vs_code_link("&quality=insiders")},
    ),
    "cursor": Client(
        "Cursor",
        "~/.cursor/mcp.json",
        _servers(_env_reference),
        DESKTOP_VARIABLE,
        {"Cursor": _cursor_link},
    ),
    "windsurf": Client(
        "Windsurf",
        "~/.codeium/windsurf/mcp_config.json",
        _servers(_env_reference, "serverUrl"),
        DESKTOP_VARIABLE,
    ),
    "zed": Client(
        "Zed",
        "{zed}/settings.json",
        _servers(_placeholder, group="context_servers"),
        REPLACE_PLACEHOLDER,
    ),
    "codex": Client("Codex", "~/.codex/config.toml", _codex, SHELL_VARIABLE),
    "gemini": Client("Gemini CLI", "~/.gemini/settings.json", _gemini, SHELL_VARIABLE),
    "json": Client("any other", "mcp.json", _servers(_placeholder), REPLACE_PLACEHOLDER),
}

PUBLISHED = ServerEntry("uvx", ("devin-mcp",))
"""The released package, for install links and the files in manifests/."""


def rendered(name: str, server: ServerEntry) -> str:
    """The contents of the client's file, in ASCII."""
    contents = CLIENTS[name].contents(server)
    if CLIENTS[name].suffix == "json":
        return json.dumps(contents, indent=2) + "\n"
    import tomlkit

    toml = tomlkit.dumps(contents).rstrip() + "\n"
    return re.sub(r"[^ -~\n]", lambda char: f"\\U{ord(char[0]):08x}", toml)
