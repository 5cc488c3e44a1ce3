"""`devin-mcp config`: how this installation is started, and how that gets into a client's own file without losing anything."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from importlib.metadata import PackageNotFoundError, distribution
from itertools import count
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from devin_mcp.cli.client_configs import CLIENTS, ServerEntry
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import path_of_uv

ENDING = ".exe" if sys.platform == "win32" else ""
START = ("command", "args", "url", "serverUrl", "type")
"""What says how a server is started or reached; everything else in an entry may be the person's own."""


FOLDERS = {
    "darwin": {"desktop": "~/Library/Application Support/Claude", "zed": "~/.config/zed"},
    "win32": {"desktop": "~/AppData/Roaming/Claude", "zed": "~/AppData/Roaming/Zed"},
    "linux": {"desktop": "~/.config/Claude", "zed": "~/.config/zed"},
}
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)


def this_command(args: tuple[str, ...] = (), url: str = "") -> ServerEntry:
    """The server as it is installed here, by its whole path, since clients start with a PATH of their own."""
    parts = set(Path(sys.prefix).parts)
    if parts & {
        "archive-v0",
        "builds-v0",
    }:  # uvx made this environment, and clears it away when it likes
        beside = Path(path_of_uv()).with_name(f"uvx{ENDING}")
        uvx = (
            str(beside)
            if beside.is_absolute() and beside.exists()
            else shutil.which("uvx") or "uvx"
        )
        return ServerEntry(uvx, (*_origin("--from"), "devin-mcp", *args), url)
    if {"pipx", ".cache"} <= parts:
        return ServerEntry(
            shutil.which("pipx") or "pipx", ("run", *_origin("--spec"), "devin-mcp", *args), url
        )
    script = Path(sys.executable).with_name(f"devin-mcp{ENDING}")
    found = str(script) if script.exists() else shutil.which("devin-mcp")
    return (
        ServerEntry(found, args, url)
        if found
        else ServerEntry(sys.executable, ("-m", "devin_mcp", *args), url)
    )


def _origin(flag: str) -> tuple[str, ...]:
    """What uvx or pipx must be told when the package came from elsewhere than the index (PEP 610)."""
    try:
        found = json.loads(distribution("devin-mcp").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return ()
    if "url" not in found:
        return ()
    address: str = found["url"]
    if "@" in urlsplit(address).netloc or urlsplit(address).query:
        raise SettingsError(
            "this devin-mcp came from an address that may hold a secret; install it first, and ask the installed one"
        )
    if "vcs_info" in found:
        versions = found["vcs_info"]
        address = f"{versions['vcs']}+{address}@{versions.get('requested_revision') or versions['commit_id']}"
    return (
        flag,
        f"{address}#subdirectory={found['subdirectory']}" if "subdirectory" in found else address,
    )


def file_of(name: str) -> Path:
    """Where the client keeps its configuration. Raises BadSetting where nobody has a home."""
    try:
        return Path(
            CLIENTS[name].file.format(**FOLDERS.get(sys.platform, FOLDERS["linux"]))
        ).expanduser()
    except RuntimeError:
        raise SettingsError(
            "there is no home directory, and so no place for clients' files"
        ) from None


def write(name: str, wanted: ServerEntry) -> tuple[str, bool]:
    """Put the server into the client's file, keep everything else, and leave a backup.

    Returns what was done, and whether it is new there, so that its secret has yet to be given. Raises BadSetting, and then
    nothing was changed.
    """
    if name == "json":
        raise SettingsError(
            "--write is not for json: it has no file; `devin-mcp config json` prints it"
        )
    file = file_of(name)
    try:
        return _write(file, name, wanted)
    except OSError as problem:
        raise SettingsError(
            f"{file} cannot be written ({problem.strerror}); nothing was changed"
        ) from None
    except (ValueError, RecursionError):
        kind = "TOML" if CLIENTS[name].ending == "toml" else "plain JSON (has it comments?)"
        raise SettingsError(
            f"{file} is no {kind}, so nothing was changed; put in by hand what is printed without --write"
        ) from None


def _write(file: Path, name: str, wanted: ServerEntry) -> tuple[str, bool]:
    file = file.resolve()  # a link to where somebody keeps it stays one
    if file.exists() and not file.is_file():
        raise SettingsError(f"{file} is no ordinary file; nothing was changed")
    before = file.read_bytes() if file.exists() else b""
    known, unchanged = (_parsed(before, CLIENTS[name].ending) for _ in range(2))
    is_new = _merge(known, CLIENTS[name].contents(wanted), wanted.name, file)
    if known == unchanged:
        return f"{file} has it already.", is_new
    after = _text(known, CLIENTS[name].ending).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    if not before:
        _replace(file, after)
        return f"{file} is written.", is_new
    backup = _backup(file, before)
    _replace(file, after, before)
    private = "; it may hold keys, so do not commit it" if CLIENTS[name].of_a_project else ""
    return f"{file} is changed. As it was before, it is {backup.name} beside it{private}.", is_new


def _parsed(before: bytes, ending: str) -> MutableMapping[str, Any]:
    text = before.decode("utf-8-sig")
    if ending == "toml":
        import tomlkit

        return tomlkit.parse(text)
    known = json.loads(
        text if text.strip() else "{}",
        object_pairs_hook=_once,
        parse_constant=_refuse,
        parse_float=_finite,
    )
    if not isinstance(known, dict):
        raise ValueError  # noqa: TRY004 - it is the text that is wrong
    return known


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands twice would lose its first value."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    if math.isinf(float(text)):
        raise ValueError
    return float(text)


def _text(known: Mapping[str, Any], ending: str) -> str:
    if ending == "toml":
        import tomlkit

        return tomlkit.dumps(known)
    return json.dumps(known, indent=2, ensure_ascii=False) + "\n"


def _merge(
    known: MutableMapping[str, Any], ours: Mapping[str, Any], server: str, file: Path
) -> bool:
    """Ours beside what is there. An entry of that name keeps its key, its flags and whatever else somebody put into it.

    Returns whether there was none.
    """
    is_new = True
    for name, value in ours.items():
        there = known.get(name)
        if there is None:
            known[name] = value
        elif isinstance(value, list):  # of things with an id
            if not isinstance(there, list):
                raise SettingsError(f'"{name}" in {file} is no list; nothing was changed')
            ids = [one.get("id") for one in there if isinstance(one, Mapping)]
            there.extend(one for one in value if one["id"] not in ids)
        elif not isinstance(there, MutableMapping):
            raise SettingsError(f'"{name}" in {file} is no group of servers; nothing was changed')
        elif there.get(server) is None:
            there[server] = value[server]
        else:
            _renew(there[server], value[server], server, file)
            is_new = False
    return is_new


def _renew(there: Any, ours: Mapping[str, Any], server: str, file: Path) -> None:
    """Start or reach it as we say; every other value that is there wins."""
    kept = _flags_to_keep(there, ours)
    if kept is None:
        raise SettingsError(
            f"{file} has another server called {server}; rename or remove it there and try again. Nothing was changed"
        )
    for name, value in ours.items():
        if name == "args":
            there[name] = [*value, *kept]
        elif name in START:
            there[name] = value
        elif isinstance(value, Mapping) and isinstance(there.get(name), MutableMapping):
            for key, held in value.items():
                there[name].setdefault(key, held)
        else:
            there.setdefault(name, value)


def _flags_to_keep(there: Any, ours: Mapping[str, Any]) -> list[str] | None:
    """The flags that only the entry there has; None when that is no devin-mcp, or one at another address."""
    if not isinstance(there, MutableMapping):
        return None
    if all(there.get(name) == value for name, value in ours.items() if name in START):
        return []
    args = there.get("args", [])
    if "command" not in there or "command" not in ours or not isinstance(args, list):
        return None
    if Path(str(there["command"])).stem != "devin-mcp":
        named = [
            place
            for place, word in enumerate(args)
            if str(word).split("@")[0].split("=")[0] in {"devin-mcp", "devin_mcp"}
        ]
        if not named:
            return None
        args = args[named[-1] + 1 :]
    said, kept, wanted = {_flag(word) for word in ours["args"]}, [], True
    for word in map(str, args):
        if word.startswith("-"):  # its value, if it has one, goes with it
            wanted = _flag(word) not in said
        kept += [word] if wanted else []
    return kept


def _flag(word: str) -> str:
    """--read-only and --no-read-only are one."""
    return word.split("=", maxsplit=1)[0].replace("--no-", "--")


def _backup(file: Path, contents: bytes) -> Path:
    """A new file beside it, as private as it is; an earlier backup stays."""
    names = (
        f"{file.name}.before-devin-mcp{'' if number == 1 else f'-{number}'}" for number in count(1)
    )
    backup = next(
        file.with_name(name) for name in names if not os.path.lexists(file.with_name(name))
    )
    descriptor = os.open(backup, _NEW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as data:
            data.write(contents)
        shutil.copymode(file, backup)
    except OSError:
        backup.unlink(missing_ok=True)
        raise
    return backup


def _replace(file: Path, contents: bytes, before: bytes = b"") -> None:
    """All of it or nothing, and only if it is still as it was read."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as data:
            data.write(contents)
            data.flush()
            os.fsync(data.fileno())
        if file.exists():
            shutil.copystat(file, new)
            if sys.platform != "win32":  # with sudo, a person's file must stay that person's
                os.chown(new, file.stat().st_uid, file.stat().st_gid)
        if (file.read_bytes() if file.exists() else b"") != before:
            raise SettingsError(f"{file} was changed by somebody else just now; try again")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
