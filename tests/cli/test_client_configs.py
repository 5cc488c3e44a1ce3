"""`devin-mcp config CLIENT` prints an entry in the client's own shape.

The entry starts the server, and no key is copied into it.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from devin_mcp.cli.client_configs import BRIDGE, CLIENTS, PUBLISHED, SELDOM_USED_TOOLS, rendered
from tests.cli.client_files import entry_in, parse
from tests.cli.command_line import CommandLine
from tests.declared import declared_tools
from tests.e2e.processes import environment
from tests.packaging.installed import listed_tools
from tests.upstream import KEY

REMOTE = "https://mcp.example.com/mcp"
LOCAL = "http://127.0.0.1:8000/mcp"


async def test_printed_entry_starts_the_server(cli: CommandLine) -> None:
    """Every client is told to start the same command, so it is started once."""
    commands = set()
    for name in CLIENTS:
        result = cli("config", name, "--sandbox")
        assert result.status == 0, result.stderr
        entry = entry_in(name, result.stdout)
        assert Path(entry["command"]).is_absolute()
        commands.add((entry["command"], *entry["args"]))
    ((command, *arguments),) = commands
    assert await listed_tools(command, arguments, env=environment()) == declared_tools(api="v3")


SHAPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "claude-desktop": (
        "mcpServers",
        ".config/Claude/claude_desktop_config.json",
        {
            "command": "npx",
            "args": ["-y", BRIDGE, "URL", "--header", "X-Devin-Api-Key:${DEVIN_API_KEY}"],
            "env": {"DEVIN_API_KEY": "cog_..."},
        },
    ),
    "claude-code": (
        "mcpServers",
        ".mcp.json",
        {"type": "http", "url": "URL", "headers": {"X-Devin-Api-Key": "${DEVIN_API_KEY}"}},
    ),
    "vs-code": (
        "servers",
        ".vscode/mcp.json",
        {"type": "http", "url": "URL", "headers": {"X-Devin-Api-Key": "${input:devin_key}"}},
    ),
    "cursor": (
        "mcpServers",
        ".cursor/mcp.json",
        {"url": "URL", "headers": {"X-Devin-Api-Key": "${env:DEVIN_API_KEY}"}},
    ),
    "windsurf": (
        "mcpServers",
        ".codeium/windsurf/mcp_config.json",
        {
            "serverUrl": "URL",
            "headers": {"X-Devin-Api-Key": "${env:DEVIN_API_KEY}"},
        },
    ),
    "zed": (
        "context_servers",
        ".config/zed/settings.json",
        {"url": "URL", "headers": {"X-Devin-Api-Key": "cog_..."}},
    ),
    "codex": (
        "mcp_servers",
        ".codex/config.toml",
        {
            "url": "URL",
            "env_http_headers": {"X-Devin-Api-Key": "DEVIN_API_KEY"},
            "required": True,
            "tool_timeout_sec": 120,
        },
    ),
    "gemini": (
        "mcpServers",
        ".gemini/settings.json",
        {
            "type": "http",
            "url": "URL",
            "headers": {"X-Devin-Api-Key": "$DEVIN_API_KEY"},
            "excludeTools": list(SELDOM_USED_TOOLS),
            "timeout": 120_000,
        },
    ),
    "json": ("mcpServers", "mcp.json", {"url": "URL", "headers": {"X-Devin-Api-Key": "cog_..."}}),
}
"""Client -> the group, the file and the entry for an address, written down from its own
documentation."""


@pytest.mark.parametrize("name", CLIENTS)
def test_remote_server_is_printed_in_the_clients_own_shape(
    cli: CommandLine, name: str, tmp_path: Path
) -> None:
    group, file, entry = SHAPES[name]
    result = cli("config", name, "--http", REMOTE, DEVIN_API_KEY=KEY)
    expected = json.loads(json.dumps(entry).replace("URL", REMOTE))
    assert parse(name, result.stdout)[group] == {"devin": expected}
    assert KEY not in result.stdout + result.stderr
    if name != "json" and sys.platform == "linux":
        written = cli.at(tmp_path)("config", name, "--write", "--sandbox", HOME=str(tmp_path))
        assert written.status == 0
        assert (tmp_path / file).is_file()


@pytest.mark.parametrize("name", CLIENTS)
def test_key_in_the_environment_is_not_copied(cli: CommandLine, name: str) -> None:
    result = cli("config", name, DEVIN_API_KEY=KEY)
    assert (result.status, KEY in result.stdout + result.stderr) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cursr"], "did you mean cursor"),
        (["json", "--write"], "has no file"),
        (["cursor", "--http", "x"], "web address"),
        (["cursor", "--http", ""], "web address"),
        (["cursor", "--auth", "token"], "goes with --http"),
        (["cursor", "--http", "https://h/mcp", "--read-only"], "has settings of its own"),
        (
            ["cursor", "--http", "https://h/mcp", "--auth", "token", "--org-id", "org-1"],
            "--org-id goes with --auth caller-key",
        ),
        (["claude"], "`devin-mcp config` lists them"),
        (["cursor", "--http", 'https://h/a"b'], "web address"),
        (["apk_user_0123456789"], "[hidden]"),
    ],
)
def test_refused_arguments_are_one_line_and_status_2(
    cli: CommandLine, arguments: list[str], message: str
) -> None:
    result = cli("config", *arguments)
    assert (result.status, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr


def test_config_without_a_client_lists_the_clients(cli: CommandLine) -> None:
    lines = cli("config").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(CLIENTS)


def test_install_links_hold_the_configuration_and_no_key() -> None:
    for name, link in CLIENTS["vs-code"].links.items():
        query = parse_qs(urlsplit(link(PUBLISHED)).query)
        entry = json.loads(rendered("vs-code", PUBLISHED))["servers"]["devin"]
        assert json.loads(query["config"][0]) == entry
        assert json.loads(query["inputs"][0])[0]["password"] is True
        assert (query["name"], "quality" in query) == (["devin"], "Insiders" in name)
    query = parse_qs(urlsplit(CLIENTS["cursor"].links["Cursor"](PUBLISHED)).query)
    entry = json.loads(rendered("cursor", PUBLISHED))["mcpServers"]["devin"]
    assert json.loads(base64.b64decode(query["config"][0])) == entry


def test_warning_when_the_key_would_be_sent_unencrypted(cli: CommandLine) -> None:
    warning = "travel in clear"
    assert warning in cli("config", "cursor", "--http", "http://mcp.example.com/mcp").stderr
    assert warning not in cli("config", "cursor", "--http", LOCAL).stderr


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize(
    ("arguments", "header"),
    [
        ([], "X-Devin-Api-Key"),
        (["--auth", "token"], "Authorization"),
        (["--auth", "oauth"], ""),
        (["--sandbox"], ""),
        (["--sandbox", "--auth", "caller-key"], "X-Devin-Api-Key"),
    ],
    ids=["default", "token", "oauth", "sandbox", "sandbox-caller-key"],
)
def test_remote_entry_sends_the_header_of_its_auth_mode(
    cli: CommandLine, name: str, arguments: list[str], header: str
) -> None:
    text = cli("config", name, "--http", REMOTE, *arguments, DEVIN_API_KEY=KEY).stdout
    headers = {
        word
        for word in ("X-Devin-Api-Key", "Authorization")
        if word in text or (word == "Authorization" and "bearer_token" in text)
    }
    assert headers == ({header} - {""})
    sends_token = any(word in text for word in ("DEVIN_CALLER_TOKEN", "devin_token", "your-token"))
    assert sends_token == (header == "Authorization")


def test_local_server_gets_no_header_unless_auth_is_given(cli: CommandLine) -> None:
    assert "headers" not in cli("config", "cursor", "--http", LOCAL).stdout
    with_auth = cli("config", "cursor", "--http", LOCAL, "--auth", "caller-key")
    assert "X-Devin-Api-Key" in with_auth.stdout
    without_path = cli("config", "cursor", "--http", "https://mcp.example.com")
    assert "ends in /mcp" in without_path.stderr


async def test_flags_become_arguments_of_the_entry(cli: CommandLine, tmp_path: Path) -> None:
    flags = ["--sandbox", "--read-only", "--max-acu", "5", "--toolsets", "sessions,secrets"]
    result = cli("config", "json", *flags, "--files-root", str(tmp_path))
    entry = entry_in("json", result.stdout)
    assert entry["args"] == [
        "--sandbox",
        "--read-only",
        "--toolsets",
        "sessions",
        "--toolsets",
        "secrets",
        "--max-acu",
        "5",
        "--files-root",
        str(tmp_path),
    ]
    server = StdioServerParameters(command=entry["command"], args=entry["args"], env=environment())
    async with Client(stdio_client(server)) as client:
        verbs = {tool.name.split("_")[1] for tool in (await client.list_tools()).tools}
    assert verbs <= {"list", "get", "wait"}


def test_base_url_is_copied_into_the_entry_and_the_key_is_not(cli: CommandLine) -> None:
    url = "https://devin.example.com"
    result = cli("config", "json", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=url)
    expected = {"DEVIN_BASE_URL": url, "DEVIN_API_KEY": "cog_..."}
    assert entry_in("json", result.stdout)["env"] == expected


def test_organization_and_api_of_the_shell_are_copied_into_the_entry(cli: CommandLine) -> None:
    result = cli("config", "json", DEVIN_ORG_ID="org-1a2b", DEVIN_API="v3")
    expected = {"DEVIN_ORG_ID": "org-1a2b", "DEVIN_API": "v3", "DEVIN_API_KEY": "cog_..."}
    assert entry_in("json", result.stdout)["env"] == expected
    with_flag = entry_in(
        "json", cli("config", "json", "--org-id", "org-2", DEVIN_ORG_ID="org-1").stdout
    )
    assert (with_flag["args"], with_flag["env"]) == (
        ["--org-id", "org-2"],
        {"DEVIN_API_KEY": "cog_..."},
    )


@pytest.mark.parametrize("name", CLIENTS)
def test_remote_entry_names_the_organization_for_a_callers_own_key(
    cli: CommandLine, name: str
) -> None:
    remote = ("config", name, "--http", REMOTE)
    entry = entry_in(name, cli(*remote, DEVIN_ORG_ID="org-1a2b").stdout)
    if name == "claude-desktop":
        assert entry["args"][-2:] == ["--header", "X-Devin-Org-Id:org-1a2b"]
    else:
        headers = entry["http_headers" if name == "codex" else "headers"]
        assert headers["X-Devin-Org-Id"] == "org-1a2b"
    assert (
        cli(*remote, "--org-id", "org-1a2b").stdout == cli(*remote, DEVIN_ORG_ID="org-1a2b").stdout
    )
    for other in ("token", "oauth", "none"):
        result = cli(*remote, "--auth", other, DEVIN_ORG_ID="org-1a2b")
        assert "X-Devin-Org-Id" not in result.stdout, "such a server refuses the header"
