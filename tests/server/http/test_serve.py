"""From settings to a server: hosts, origins, the authenticator, refused settings."""

from __future__ import annotations

import pytest

from devin_mcp.server.http.serve import allowed_hosts_for, allowed_origins_for, authenticator_for
from devin_mcp.settings import SettingsError, resolve
from tests.cli.command_line import CommandLine
from tests.e2e.cluster import free_port
from tests.e2e.processes import start_http_process, start_process
from tests.http_client import connect_over_http

LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
LOOPBACK_ORIGINS = ["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"]


@pytest.mark.parametrize(
    ("flags", "hosts", "origins"),
    [
        ({}, LOOPBACK_HOSTS, LOOPBACK_ORIGINS),
        ({"host": "0.0.0.0", "auth": "caller-key"}, None, []),  # noqa: S104 - no socket is opened
        (
            {
                "host": "0.0.0.0",  # noqa: S104 - no socket is opened
                "auth": "caller-key",
                "public_url": "https://mcp.example.com/mcp",
            },
            {"mcp.example.com"},
            [],
        ),
        ({"host": "::1"}, LOOPBACK_HOSTS, LOOPBACK_ORIGINS),
    ],
)
def test_allowed_hosts_and_origins_follow_from_the_settings(
    flags: dict[str, str], hosts: set[str] | None, origins: list[str]
) -> None:
    settings = resolve({name: [value] for name, value in flags.items()}, {})
    assert (allowed_hosts_for(settings), allowed_origins_for(settings)) == (hosts, origins)


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        ({"auth": "token"}, "--caller-tokens-file"),
        ({"auth": "oauth"}, "--oauth-issuer"),
        ({"auth": "oauth", "oauth_issuer": "https://a.b"}, "--public-url"),
    ],
)
def test_auth_mode_without_its_settings_is_refused(flags: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        authenticator_for(resolve({name: [value] for name, value in flags.items()}, {}), None)


@pytest.mark.parametrize("key", ["", "${DEVIN_API_KEY}", "cog_..."])
@pytest.mark.parametrize("auth", ["token", "oauth"])
def test_server_that_needs_a_key_of_its_own_does_not_start_without(
    capsys: pytest.CaptureFixture[str], auth: str, key: str
) -> None:
    finished = CommandLine(capsys)("http", "--auth", auth, "--port", "0", DEVIN_API_KEY=key)
    assert finished.status == 2
    assert finished.stderr == (
        f"devin-mcp: --auth {auth} serves all callers with this server's own Devin key: set "
        "DEVIN_API_KEY to a key that starts with cog_ (or apk_)\n"
    )


async def test_sandbox_with_several_workers_is_refused() -> None:
    async with start_process("http", "--sandbox", "--workers", "2") as server:
        assert await server.wait_for_exit() == 2
    assert b"runs in one process" in server.stderr


async def test_server_key_is_logged_as_unused_with_caller_keys() -> None:
    async with start_http_process(
        "--sandbox", "--auth", "caller-key", DEVIN_API_KEY="apk_unused_0000"
    ) as (
        server,
        _,
    ):
        assert "each caller brings a key" in (await server.wait_for_log("own_key_unused"))["why"]


async def test_replicas_without_shared_state_keys_are_warned_of_at_the_start() -> None:
    redis = f"redis://127.0.0.1:{free_port()}"
    for keys, is_warned in (("", True), ("0123456789abcdef" * 4, False)):
        variables = {"DEVIN_MCP_REDIS_URL": redis, "DEVIN_MCP_STATE_KEYS": keys}
        async with start_http_process("--sandbox", **variables) as (server, url):
            async with connect_over_http(url) as client:
                await client.ok("list_playbooks")
            server.process.terminate()
            await server.wait_for_exit(close=False)
        assert (b'"no_shared_state_keys"' in server.stderr) == is_warned
