"""`devin-mcp config`: prints the configuration for an MCP client, or writes it into its file."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from devin_mcp.cli.client_configs import CLIENTS, rendered
from devin_mcp.cli.config_files import config_file, has_user_scope, this_command, write
from devin_mcp.cli.server_entry import ServerEntry
from devin_mcp.cli.standard_streams import print_error
from devin_mcp.cli.terminal import print_text
from devin_mcp.settings import SETTINGS, Settings, SettingsError, sources
from devin_mcp.settings.environment import network_variables
from devin_mcp.settings.parsers import LOOPBACK, parse_url
from devin_mcp.suggest import did_you_mean

CONNECTION_SETTINGS = frozenset({"base_url", "app_url", "api", "org_id"})
"""They go with the key, so they are variables in the client's entry, as the key is."""


def configure_client(
    options: argparse.Namespace, settings: Settings, flags: Mapping[str, Sequence[str]]
) -> int:
    """Print or write the configuration for `options.client`; without one, list the clients.

    Returns the exit status. Raises SettingsError.
    """
    if options.client is None:
        for name, client in CLIENTS.items():
            print_text(f"{name:<16} {client.title:<16} {config_file(name)}")
        return 0
    name = options.client.lower()
    if name not in CLIENTS:
        hint = did_you_mean(name, list(CLIENTS)) or "; `devin-mcp config` lists them"
        raise SettingsError(f"there is no client {options.client!r}{hint}")
    entry = (
        _local_server(settings, flags)
        if options.http is None
        else _remote_server(options.http, settings, flags)
    )
    hints: list[str] = []
    if options.write:
        if not entry.url and shutil.which(entry.command) is None:
            raise SettingsError(
                f"{entry.command} is not found, so no client could start it; nothing was changed"
            )
        summary, is_new = write(name, entry)
        print_text(summary)
        if is_new:
            hints.append(CLIENTS[name].key_hint(entry))
    else:
        print(rendered(name, entry), end="")
        hints.append(CLIENTS[name].key_hint(entry))
        if name != "json":
            hints.append(f"Add this to {config_file(name)}.")
    for hint in filter(None, [*hints, *_warnings(name, entry)]):
        print_error(hint)
    return 0


def _warnings(name: str, entry: ServerEntry) -> Iterator[str]:
    client = CLIENTS[name]
    if client.is_project_file and name != "json" and not entry.url:
        shared = f"manifests/clients/{name}.{client.suffix}"
        yield f"The configuration contains a path of this machine; to share it, use {shared}."
    url = urlsplit(entry.url)
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        yield "Secrets would travel in clear text: use an https URL."
    if entry.url and not url.path.strip("/"):
        yield "The URL has no path; that of devin-mcp ends in /mcp."
    if name == "claude-code" and has_user_scope(entry.name):
        yield (
            f"Claude Code has a server {entry.name} for all projects, too, and reports conflicting "
            f"scopes. Keep one: `claude mcp remove {entry.name} -s user` removes that one."
        )


def _local_server(settings: Settings, flags: Mapping[str, Sequence[str]]) -> ServerEntry:
    """The server that the client starts, with the flags of this command line."""
    if "auth" in flags:
        raise SettingsError(
            "--auth goes with --http: it says how the remote server authenticates its callers"
        )
    # A client may start the server without the variables of this shell.
    from_variables = set(sources(flags)) - set(flags)
    names = set(flags) | (from_variables - CONNECTION_SETTINGS)
    entry = this_command(tuple(_server_flags(settings, names)))
    entry = replace(entry, network_variables=network_variables())
    if settings.sandbox:
        return entry
    env = {
        setting.env: str(getattr(settings, setting.name))
        for setting in SETTINGS
        if setting.name in from_variables & CONNECTION_SETTINGS
    }
    return replace(entry, env=env)


def _remote_server(
    text: str, settings: Settings, flags: Mapping[str, Sequence[str]]
) -> ServerEntry:
    """The server at a URL, and how it authenticates its callers."""
    server_flags = _server_flags(settings, set(flags) - {"org_id"})
    for flag in server_flags:
        if flag.startswith("--") and flag != "--sandbox":
            raise SettingsError(
                f"{flag} is for a server that the client starts; "
                "a remote one has settings of its own"
            )
    try:
        url = parse_url(text)
    except ValueError as error:
        raise SettingsError(f"--http {error}") from None
    if "auth" in flags:
        auth = settings.auth
    elif urlsplit(url).hostname in LOOPBACK or settings.sandbox:
        auth = "none"
    else:
        auth = "caller-key"
    if "org_id" in flags and auth != "caller-key":
        raise SettingsError(
            "--org-id goes with --auth caller-key: other servers work in the organization of their "
            "own key"
        )
    return ServerEntry("", tuple(server_flags), url, auth, org_id=settings.org_id)


def _server_flags(settings: Settings, names: set[str]) -> list[str]:
    """These settings as flags of the stdio server, without those that it does not accept."""
    arguments: list[str] = []
    for setting in SETTINGS:
        if setting.flag is None or setting.name not in names or "stdio" not in setting.commands:
            continue
        value = getattr(settings, setting.name)
        if setting.is_switch:
            on, off = setting.flags
            arguments.append(on if value else off)
        elif value == setting.bare:
            arguments.append(setting.flag)
        else:
            for part in value if setting.is_list else (value,):
                arguments += [setting.flag, str(part)]
    return arguments
