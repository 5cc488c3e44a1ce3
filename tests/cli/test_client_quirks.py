"""`devin-mcp config` writes what a client needs to work well with this server."""

from __future__ import annotations

import json

import pytest
from mcp import Client

from devin_mcp.server.build import build, warn_about_key
from devin_mcp.settings import resolve
from tests.cli.client_files import entry_in
from tests.cli.command_line import CommandLine
from tests.conftest import Logs, text_of
from tests.declared import declared_tools
from tests.upstream import KEY


def test_variables_that_a_client_keeps_to_itself_are_named_in_its_entry(cli: CommandLine) -> None:
    """Codex passes on none, Gemini CLI none with CERT in the name; no value is copied."""
    shell = {
        "DEVIN_API_KEY": KEY,
        "SSL_CERT_FILE": "/no/such.pem",
        "UV_NATIVE_TLS": "1",
        "UV_DEFAULT_INDEX": "https://user:secret@index.example.com/simple",
        "HTTPS_PROXY": "http://user:secret@proxy.example.com",
    }
    for name in ("codex", "gemini", "cursor"):
        text = cli("config", name, **shell).stdout
        assert not [value for value in shell.values() if len(value) > 1 and value in text], name
        entry = entry_in(name, text)
        if name == "codex":
            assert set(shell) <= set(entry["env_vars"])
        elif name == "gemini":
            assert {"DEVIN_API_KEY", "SSL_CERT_FILE"} <= set(entry["env"])
            assert entry["env"]["SSL_CERT_FILE"] == "$SSL_CERT_FILE"
            assert not {"UV_NATIVE_TLS", "HTTPS_PROXY"} & set(entry["env"])
        else:
            assert set(entry["env"]) == {"DEVIN_API_KEY"}


def test_limits_of_the_shell_become_flags_of_the_entry(cli: CommandLine) -> None:
    """Codex starts the server without the shell's variables, and a spending cap must not vanish."""
    shell = {"DEVIN_MCP_READ_ONLY": "1", "DEVIN_MCP_MAX_ACU": "5", "DEVIN_MCP_CONFIRM": "never"}
    result = cli("config", "codex", "--confirm", "always", **shell)
    args = entry_in("codex", result.stdout)["args"]
    assert args == ["--confirm", "always", "--read-only", "--max-acu", "5"]
    keys = "k" * 32
    assert keys not in cli("config", "json", DEVIN_MCP_STATE_KEYS=keys).stdout
    remote = cli("config", "codex", "--http", "https://h/mcp", **shell)
    assert (remote.status, "read-only" in remote.stdout) == (0, False)


def test_codex_is_told_to_wait_for_the_server(cli: CommandLine) -> None:
    """It sends its first request after a second, and uvx takes longer (hosts.md §1). It fails if a
    required server is not there after 30 s.
    """
    local = entry_in("codex", cli("config", "codex").stdout)
    remote = entry_in("codex", cli("config", "codex", "--http", "https://h/mcp").stdout)
    assert (local["required"], remote["required"]) == (True, True)
    assert local["startup_timeout_sec"] > 30


def test_tools_left_out_for_gemini_exist_and_a_choice_of_the_user_counts(cli: CommandLine) -> None:
    left_out = entry_in("gemini", cli("config", "gemini").stdout)["excludeTools"]
    assert set(left_out) < declared_tools() | declared_tools(api="v3")
    for choice in ("--toolsets=secrets", "--tools=create_secret", "--exclude-tools=get_session"):
        assert "excludeTools" not in cli("config", "gemini", choice).stdout


@pytest.mark.parametrize(
    "placeholder",
    [
        "cog_...",
        "apk_...",
        "apk_user_xxx",
        "<your key>",
        "YOUR_API_KEY",
        "${{ secrets.X }}",
        "${DEVIN_API_KEY}",
        "${env:DEVIN_API_KEY}",
        "$DEVIN_API_KEY",
        "${input:devin_key}",
    ],
)
async def test_placeholder_left_in_place_of_the_key_is_reported(
    placeholder: str, logs: Logs
) -> None:
    """Log and call both say that the client did not replace what `config` wrote."""
    settings = resolve({}, {"DEVIN_API_KEY": placeholder})
    warn_about_key(settings)
    async with Client(build(settings, "stdio")) as client:
        result = await client.call_tool("devin_list_sessions", {})
    assert "is a placeholder that the client did not fill in" in json.dumps(logs())
    assert result.is_error
    assert "a placeholder that nobody filled in; nothing was sent" in text_of(result)
