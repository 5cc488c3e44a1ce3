"""`devin-mcp config CLIENT --write`: keeps everything else in the file, or changes nothing."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.cli.client_configs import CLIENTS
from tests.cli.command_line import CommandLine, CommandResult
from tests.e2e.processes import COMMAND

WRITTEN = [name for name in CLIENTS if name != "json"]
Write = Callable[..., CommandResult]
GROUPS = ("mcpServers", "servers", "context_servers", "mcp_servers")


def file_in(home: Path) -> Path:
    (file,) = (file for ending in ("json", "toml") for file in home.rglob(f"*.{ending}"))
    return file


def parsed(file: Path) -> dict[str, Any]:
    parse = tomllib.loads if file.suffix == ".toml" else json.loads
    contents: dict[str, Any] = parse(file.read_text())
    return contents


def group_of(contents: dict[str, Any]) -> dict[str, Any]:
    group: dict[str, Any] = next(contents[name] for name in GROUPS if name in contents)
    return group


@pytest.fixture
def write(cli: CommandLine, tmp_path: Path) -> Write:
    """`write("cursor")` runs `devin-mcp config cursor --write` in a home directory of its own."""

    def run(name: str, *flags: str) -> CommandResult:
        return cli.at(tmp_path)("config", name, "--write", *flags, HOME=str(tmp_path))

    return run


@pytest.fixture
def cursor(tmp_path: Path) -> Path:
    """The path of Cursor's file, which does not exist yet."""
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    return file


@pytest.mark.parametrize("name", WRITTEN)
def test_write_keeps_other_entries_and_leaves_a_backup(
    name: str, write: Write, tmp_path: Path
) -> None:
    first = write(name, "--sandbox")
    assert first.status == 0, first.stderr
    file = file_in(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600, "a user will put a key into it"
    fresh = parsed(file)
    group = next(name for name in GROUPS if name in fresh)
    mine = (
        f'# mine\nmodel = "x"\n\n[{group}.other]\ncommand = "x" # theirs\nargs = ["é"]\n'
        if file.suffix == ".toml"
        else json.dumps({"theme": "dark", group: {"other": {"command": "x", "args": ["é"]}}})
    )
    file.write_text(mine)
    file.chmod(0o640)
    again = write(name, "--sandbox")
    after = parsed(file)
    assert group_of(after) == {
        "other": {"command": "x", "args": ["é"]},
        "devin-sandbox": group_of(fresh)["devin-sandbox"],
    }
    assert {"theme", "model"} & set(after)
    assert ("# mine" in file.read_text(), "# theirs" in file.read_text()) == (
        ("# mine" in mine),
    ) * 2
    backup = file.with_name(f"{file.name}.before-devin-mcp")
    assert backup.read_text() == mine
    assert (backup.stat().st_mode, file.stat().st_mode & 0o777) == (file.stat().st_mode, 0o640), (
        "as private as it was"
    )
    assert backup.name in again.stdout
    assert "has it already" in write(name, "--sandbox").stdout
    assert write(name).status == 0
    assert backup.read_text() == mine, "the first backup stays what it was"
    assert set(group_of(parsed(file))) == {"other", "devin-sandbox", "devin"}


def test_write_keeps_key_flags_and_other_values_of_an_entry(cursor: Path, write: Write) -> None:
    old = {
        "command": "/old/devin-mcp",
        "args": ["--max-acu", "5"],
        "disabled": True,
        "env": {"DEVIN_API_KEY": "apk_user_real_1234", "DEVIN_MCP_READ_ONLY": "1"},
    }
    cursor.write_text(json.dumps({"mcpServers": {"devin": old}}))
    result = write("cursor")
    assert result.status == 0, result.stderr
    entry = parsed(cursor)["mcpServers"]["devin"]
    assert entry == old | {"command": entry["command"]}
    assert entry["command"] != "/old/devin-mcp"
    assert "apk_user_real" not in result.stdout + result.stderr
    assert "DEVIN_API_KEY" not in result.stderr, "the entry has a key, so no advice is printed"
    assert "is changed; the entry keeps --max-acu 5. The backup" in result.stdout
    assert "has it already; the entry keeps --max-acu 5." in write("cursor").stdout
    assert write("cursor", "--max-acu", "9").status == 0
    assert parsed(cursor)["mcpServers"]["devin"]["args"] == ["--max-acu", "9"], (
        "the new flag replaces the old one"
    )
    cursor.write_text(
        json.dumps({"mcpServers": {"devin": old | {"args": ["--no-read-only", "--max-acu=5"]}}})
    )
    assert write("cursor", "--read-only").status == 0
    assert parsed(cursor)["mcpServers"]["devin"]["args"] == ["--read-only", "--max-acu=5"]
    uvx = old | {"command": "uvx", "args": ["devin-mcp@0.1.0", "--max-acu", "5"]}
    cursor.write_text(json.dumps({"mcpServers": {"devin": uvx}}))
    assert write("cursor").status == 0
    assert parsed(cursor)["mcpServers"]["devin"] == entry


def test_write_for_claude_code_tells_of_conflicting_scopes(write: Write, tmp_path: Path) -> None:
    """`claude mcp add devin -s user` and the project's file give the same name (hosts.md §6)."""
    assert "conflicting" not in write("claude-code").stderr
    (tmp_path / ".claude.json").write_text('{"mcpServers": {"devin": {"command": "uvx"}}}')
    assert "claude mcp remove devin -s user" in write("claude-code").stderr
    assert "conflicting" not in write("claude-code", "--sandbox").stderr


def test_write_keeps_inputs_of_other_servers(write: Write, tmp_path: Path) -> None:
    (tmp_path / ".vscode").mkdir()
    file = tmp_path / ".vscode" / "mcp.json"
    theirs = {
        "inputs": [{"type": "promptString", "id": "other"}],
        "servers": {"other": {"command": "x"}},
    }
    file.write_text(json.dumps(theirs))
    for _ in range(2):
        assert write("vs-code").status == 0
    after = parsed(file)
    assert [item["id"] for item in after["inputs"]] == ["other", "devin_key"]
    assert set(after["servers"]) == {"other", "devin"}


@pytest.mark.parametrize(
    "theirs",
    [
        {"url": "https://mcp.devin.ai/mcp", "headers": {"Authorization": "Bearer t"}},
        {"command": "npx", "args": ["devin"]},
        "devin",
        ["x"],
    ],
    ids=["remote", "local", "text", "list"],
)
def test_write_refuses_another_server_of_that_name(
    theirs: object, cursor: Path, write: Write
) -> None:
    cursor.write_text(before := json.dumps({"mcpServers": {"devin": theirs}}))
    result = write("cursor")
    assert (result.status, result.stderr.count("\n")) == (2, 1)
    assert "another server called devin" in result.stderr
    assert cursor.read_text() == before


@pytest.mark.parametrize(
    "before",
    [
        b"{ // my servers\n}",
        b'{"mcpServers": {},}',
        b"[]",
        b'{"mcpServers": []}',
        b'{"mcpServers": "x"}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1e400}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        '{"a": "é"}'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100_000,
    ],
    ids=[
        "comments",
        "comma",
        "list",
        "servers-list",
        "servers-text",
        "twice",
        "huge",
        "nan",
        "surrogate",
        "latin-1",
        "utf-16",
        "deep",
    ],
)
def test_write_leaves_an_unreadable_file_unchanged(
    before: bytes, cursor: Path, write: Write
) -> None:
    cursor.write_bytes(before)
    result = write("cursor")
    assert (result.status, result.stderr.count("\n")) == (2, 1), result.stderr
    assert "nothing was changed" in result.stderr
    assert cursor.read_bytes() == before
    assert list(cursor.parent.iterdir()) == [cursor], "no temporary file is left"


@pytest.mark.parametrize(
    "before",
    [b"", b" \n", b"\xef\xbb\xbf{}", b'{"mcpServers": null}'],
    ids=["empty", "blank", "bom", "null"],
)
def test_write_fills_an_empty_file(before: bytes, cursor: Path, write: Write) -> None:
    cursor.write_bytes(before)
    assert write("cursor").status == 0
    assert set(parsed(cursor)["mcpServers"]) == {"devin"}


def test_write_changes_nothing_when_the_disk_is_full(cursor: Path, tmp_path: Path) -> None:
    cursor.write_text(before := json.dumps({"mcpServers": {}, "notes": "x" * 5000}))
    limited = f"ulimit -f 3; exec {COMMAND[0]} -m devin_mcp config cursor --write"
    variables = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",  # the limit would truncate .pyc files, too
    }
    process = subprocess.run(
        ["bash", "-c", limited],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stderr.count("\n")) == (2, 1)
    assert "nothing was changed" in process.stderr
    assert cursor.read_text() == before
    assert list(cursor.parent.iterdir()) == [cursor]


def test_write_follows_a_symlink_and_refuses_a_directory(
    cursor: Path, write: Write, tmp_path: Path
) -> None:
    target = tmp_path / "dotfiles"
    target.write_text("{}")
    cursor.symlink_to(target)
    assert write("cursor").status == 0
    assert cursor.is_symlink()
    assert "devin" in target.read_text()
    cursor.unlink()
    cursor.mkdir()
    result = write("cursor")
    assert (result.status, result.stderr.count("\n")) == (2, 1)


def test_write_into_a_home_that_is_a_file_is_one_line(cli: CommandLine, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("")
    result = cli("config", "cursor", "--write", HOME=str(home))
    assert (result.status, result.stderr.count("\n")) == (2, 1), result.stderr
    assert "cannot be written" in result.stderr
