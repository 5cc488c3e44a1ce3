"""Writes this installation into a client's configuration file, and keeps everything else in it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from importlib.metadata import PackageNotFoundError, distribution
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devin_mcp.cli.client_configs import CLIENTS
from devin_mcp.cli.config_format import parse, serialize
from devin_mcp.cli.server_entry import ServerEntry
from devin_mcp.settings import SettingsError
from devin_mcp.settings.environment import uv_path

CONNECTION_FIELDS = ("command", "args", "url", "serverUrl", "type")
"""Fields of an entry that are overwritten; the user may have changed all others."""
CONFIG_DIRECTORIES = {
    "darwin": {"claude_desktop": "~/Library/Application Support/Claude", "zed": "~/.config/zed"},
    "win32": {"claude_desktop": "~/AppData/Roaming/Claude", "zed": "~/AppData/Roaming/Zed"},
    "linux": {"claude_desktop": "~/.config/Claude", "zed": "~/.config/zed"},
}

_EXE = ".exe" if sys.platform == "win32" else ""
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)


def this_command(args: tuple[str, ...] = ()) -> ServerEntry:
    """The command that starts this installation.

    The path is absolute, because clients have a PATH of their own. The environments of uvx and
    `pipx run` are temporary, so for those it is the command that creates them again.
    """
    directories = set(Path(sys.prefix).parts)
    if directories & {"archive-v0", "builds-v0"}:  # uvx
        uvx_beside_uv = Path(uv_path()).with_name(f"uvx{_EXE}")
        if uvx_beside_uv.is_absolute() and uvx_beside_uv.exists():
            uvx = str(uvx_beside_uv)
        else:
            uvx = shutil.which("uvx") or "uvx"
        return ServerEntry(uvx, (*_package_source("--from"), "devin-mcp", *args))
    if {"pipx", ".cache"} <= directories:
        pipx = shutil.which("pipx") or "pipx"
        return ServerEntry(pipx, ("run", *_package_source("--spec"), "devin-mcp", *args))
    script = Path(sys.executable).with_name(f"devin-mcp{_EXE}")
    command = str(script) if script.exists() else shutil.which("devin-mcp")
    if command:
        return ServerEntry(command, args)
    return ServerEntry(sys.executable, ("-m", "devin_mcp", *args))


def _package_source(flag: str) -> tuple[str, ...]:
    """The flag for uvx or pipx if the package was installed from a URL (PEP 610)."""
    try:
        source = json.loads(distribution("devin-mcp").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return ()
    if "url" not in source:
        return ()
    url: str = source["url"]
    if "@" in urlsplit(url).netloc or urlsplit(url).query:
        raise SettingsError(
            "this devin-mcp was installed from a URL that may hold a secret; "
            "install it permanently, and run `config` from that installation"
        )
    if "vcs_info" in source:
        vcs = source["vcs_info"]
        url = f"{vcs['vcs']}+{url}@{vcs.get('requested_revision') or vcs['commit_id']}"
    if "subdirectory" in source:
        url = f"{url}#subdirectory={source['subdirectory']}"
    return flag, url


def config_file(name: str) -> Path:
    """The path of a client's configuration file. Raises SettingsError without a home directory."""
    directories = CONFIG_DIRECTORIES.get(sys.platform, CONFIG_DIRECTORIES["linux"])
    try:
        return Path(CLIENTS[name].file.format(**directories)).expanduser()
    except RuntimeError:
        raise SettingsError(
            "there is no home directory, and so no place for clients' files"
        ) from None


def has_user_scope(server: str) -> bool:
    """True if Claude Code has a server of this name for all projects (`claude mcp add -s user`)."""
    try:
        contents = json.loads(Path("~/.claude.json").expanduser().read_bytes())
    except (OSError, ValueError, RuntimeError, RecursionError):
        return False
    servers = contents.get("mcpServers") if isinstance(contents, dict) else None
    return isinstance(servers, dict) and server in servers


def write(name: str, server: ServerEntry) -> tuple[str, bool]:
    """Merge a server into the client's file; the old file is kept as a backup.

    Returns a summary, and whether the entry is new, so that the user must still provide the key.
    Raises SettingsError if the file cannot be changed; then nothing is.
    """
    if name == "json":
        raise SettingsError(
            "--write is not for json: it has no file; `devin-mcp config json` prints it"
        )
    file = config_file(name)
    try:
        return _write(file, name, server)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written ({error.strerror}); nothing was changed"
        ) from None
    except (ValueError, RecursionError):
        kind = "TOML" if CLIENTS[name].suffix == "toml" else "plain JSON (has it comments?)"
        raise SettingsError(
            f"{file} is no {kind}, so nothing was changed; run this without --write and add the "
            "output by hand"
        ) from None


def _write(file: Path, name: str, server: ServerEntry) -> tuple[str, bool]:
    client = CLIENTS[name]
    file = file.resolve()  # writes to the target of a link, so that the link stays
    if file.exists() and not file.is_file():
        raise SettingsError(f"{file} is not a regular file; nothing was changed")
    before = file.read_bytes() if file.exists() else b""
    contents, unchanged = parse(before, client.suffix), parse(before, client.suffix)
    is_new = _merge(contents, client.contents(server), server.name, file)
    note = "" if is_new else _note_of_flags(contents, client.contents(server), server)
    if contents == unchanged:
        return f"{file} has it already{note}.", is_new
    after = serialize(contents, client.suffix).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    if not before:
        _replace(file, after)
        return f"{file} is written.", is_new
    backup = _backup(file, before)
    _replace(file, after, before)
    advice = "; it may contain keys, so do not commit it" if client.is_project_file else ""
    return f"{file} is changed{note}. The backup is {backup.name} beside it{advice}.", is_new


def _note_of_flags(
    contents: Mapping[str, Any], ours: Mapping[str, Any], server: ServerEntry
) -> str:
    """Says which flags of the entry that was there are still in it."""
    (group,) = (name for name, value in ours.items() if isinstance(value, Mapping))
    args = [str(arg) for arg in contents[group][server.name].get("args", [])]
    flags = args[len(ours[group][server.name].get("args", [])) :]
    return f"; the entry keeps {' '.join(flags)}" if flags else ""


def _merge(
    contents: MutableMapping[str, Any], ours: Mapping[str, Any], server: str, file: Path
) -> bool:
    """Add our entry to the contents of the file. Returns whether it is new.

    An existing entry of that name keeps its key, its flags and everything that the user added.
    """
    is_new = True
    for name, value in ours.items():
        existing = contents.get(name)
        if existing is None:
            contents[name] = value
        elif isinstance(value, list):  # VS Code's inputs
            if not isinstance(existing, list):
                raise SettingsError(f'"{name}" in {file} is no list; nothing was changed')
            ids = [item.get("id") for item in existing if isinstance(item, Mapping)]
            existing.extend(item for item in value if item["id"] not in ids)
        elif not isinstance(existing, MutableMapping):
            raise SettingsError(f'"{name}" in {file} is no group of servers; nothing was changed')
        elif existing.get(server) is None:
            existing[server] = value[server]
        else:
            _update(existing[server], value[server], server, file)
            is_new = False
    return is_new


def _update(existing: Any, ours: Mapping[str, Any], server: str, file: Path) -> None:
    """Overwrite how the server is started or reached; keep every other value of the entry."""
    extra_flags = _extra_flags(existing, ours)
    if extra_flags is None:
        raise SettingsError(
            f"{file} has another server called {server}; rename or remove it there and try again. "
            "Nothing was changed"
        )
    for name, value in ours.items():
        if name == "args":
            existing[name] = [*value, *extra_flags]
        elif name in CONNECTION_FIELDS:
            existing[name] = value
        elif isinstance(value, Mapping) and isinstance(existing.get(name), MutableMapping):
            for key, default in value.items():
                existing[name].setdefault(key, default)
        else:
            existing.setdefault(name, value)


def _extra_flags(existing: Any, ours: Mapping[str, Any]) -> list[str] | None:
    """Flags of the existing entry that ours lacks; None if that entry is not this server."""
    if not isinstance(existing, MutableMapping):
        return None
    if all(
        existing.get(name) == value for name, value in ours.items() if name in CONNECTION_FIELDS
    ):
        return []
    args = existing.get("args", [])
    if "command" not in existing or "command" not in ours or not isinstance(args, list):
        return None
    if Path(str(existing["command"])).stem != "devin-mcp":  # uvx, pipx or python
        positions = [
            position
            for position, arg in enumerate(args)
            if str(arg).split("@")[0].split("=")[0] in {"devin-mcp", "devin_mcp"}
        ]
        if not positions:
            return None
        args = args[positions[-1] + 1 :]
    our_flags = {_flag_name(arg) for arg in ours["args"]}
    extra: list[str] = []
    is_extra = True
    for arg in map(str, args):
        if arg.startswith("-"):  # otherwise it is the value of the flag before
            is_extra = _flag_name(arg) not in our_flags
        if is_extra:
            extra.append(arg)
    return extra


def _flag_name(arg: str) -> str:
    """The flag without its value; the same name for --x and --no-x."""
    return arg.split("=", maxsplit=1)[0].replace("--no-", "--")


def _backup(file: Path, contents: bytes) -> Path:
    """A new file beside it, with the same mode; earlier backups are kept."""
    names = (
        f"{file.name}.before-devin-mcp{'' if number == 1 else f'-{number}'}" for number in count(1)
    )
    backup = next(
        file.with_name(name) for name in names if not os.path.lexists(file.with_name(name))
    )
    descriptor = os.open(backup, _NEW_FILE, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as data:
            data.write(contents)
        shutil.copymode(file, backup)
    except OSError:
        backup.unlink(missing_ok=True)
        raise
    return backup


def _replace(file: Path, contents: bytes, before: bytes = b"") -> None:
    """Replace a file atomically. Raises SettingsError if its contents are not `before`."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as data:
            data.write(contents)
            data.flush()
            os.fsync(data.fileno())
        if file.exists():
            shutil.copystat(file, new)
            if sys.platform != "win32":  # root keeps the owner of the file
                os.chown(new, file.stat().st_uid, file.stat().st_gid)
        if (file.read_bytes() if file.exists() else b"") != before:
            raise SettingsError(f"{file} was changed by another program just now; try again")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
