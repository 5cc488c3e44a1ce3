"""What is written into a client's file keeps everything else; what cannot be written changes nothing."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.cli.client_configs import CLIENTS
from tests.e2e.processes import COMMAND
from tests.e2e.test_config import config

WRITTEN = [name for name in CLIENTS if name != "json"]
GROUPS = ("mcpServers", "servers", "context_servers", "mcp_servers")


def file_in(home: Path) -> Path:
    (found,) = (file for ending in ("json", "toml") for file in home.rglob(f"*.{ending}"))
    return found


def parsed(file: Path) -> dict[str, Any]:
    read = tomllib.loads if file.suffix == ".toml" else json.loads
    found: dict[str, Any] = read(file.read_text())
    return found


def group_of(contents: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(contents[name] for name in GROUPS if name in contents)
    return found


@pytest.fixture
def cursor(tmp_path: Path) -> Path:
    """Cursor's file, which is yet to be made."""
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    return file


@pytest.mark.parametrize("name", WRITTEN)
def test_writing_keeps_everything_else_and_leaves_a_backup(name: str, tmp_path: Path) -> None:
    first = config(name, "--write", "--sandbox", home=tmp_path)
    assert first.returncode == 0, first.stderr
    file = file_in(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600, "somebody will put a key into it"
    fresh = parsed(file)
    group = next(one for one in GROUPS if one in fresh)
    mine = (
        f'# mine\nmodel = "x"\n\n[{group}.other]\ncommand = "x" # theirs\nargs = ["é"]\n'
        if file.suffix == ".toml"
        else json.dumps({"theme": "dark", group: {"other": {"command": "x", "args": ["é"]}}})
    )
    file.write_text(mine)
    file.chmod(0o640)
    again = config(name, "--write", "--sandbox", home=tmp_path)
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
    assert "has it already" in config(name, "--write", "--sandbox", home=tmp_path).stdout
    assert config(name, "--write", home=tmp_path).returncode == 0
    assert backup.read_text() == mine, "the first backup stays what it was"
    assert set(group_of(parsed(file))) == {"other", "devin-sandbox", "devin"}


def test_an_entry_keeps_its_key_its_cap_and_whatever_else_is_in_it(
    cursor: Path, tmp_path: Path
) -> None:
    old = {
        "command": "/old/devin-mcp",
        "args": ["--max-acu", "5"],
        "disabled": True,
        "env": {"DEVIN_API_KEY": "apk_user_real_1234", "DEVIN_MCP_READ_ONLY": "1"},
    }
    cursor.write_text(json.dumps({"mcpServers": {"devin": old}}))
    done = config("cursor", "--write", home=tmp_path)
    assert done.returncode == 0, done.stderr
    entry = parsed(cursor)["mcpServers"]["devin"]
    assert entry == old | {"command": entry["command"]}
    assert entry["command"] != "/old/devin-mcp"
    assert "apk_user_real" not in done.stdout + done.stderr
    assert "DEVIN_API_KEY" not in done.stderr, (
        "it has its key, so nothing is said of where one comes from"
    )
    assert config("cursor", "--write", "--max-acu", "9", home=tmp_path).returncode == 0
    assert parsed(cursor)["mcpServers"]["devin"]["args"] == ["--max-acu", "9"], (
        "what is said now is meant"
    )
    cursor.write_text(
        json.dumps({"mcpServers": {"devin": old | {"args": ["--no-read-only", "--max-acu=5"]}}})
    )
    assert config("cursor", "--write", "--read-only", home=tmp_path).returncode == 0
    assert parsed(cursor)["mcpServers"]["devin"]["args"] == ["--read-only", "--max-acu=5"]
    uvx = old | {"command": "uvx", "args": ["devin-mcp@0.1.0", "--max-acu", "5"]}
    cursor.write_text(json.dumps({"mcpServers": {"devin": uvx}}))
    assert config("cursor", "--write", home=tmp_path).returncode == 0
    assert parsed(cursor)["mcpServers"]["devin"] == entry


def test_what_another_server_asks_for_is_still_asked_for(tmp_path: Path) -> None:
    (tmp_path / ".vscode").mkdir()
    file = tmp_path / ".vscode" / "mcp.json"
    theirs = {
        "inputs": [{"type": "promptString", "id": "other"}],
        "servers": {"other": {"command": "x"}},
    }
    file.write_text(json.dumps(theirs))
    for _ in range(2):
        assert config("vs-code", "--write", home=tmp_path).returncode == 0
    after = parsed(file)
    assert [one["id"] for one in after["inputs"]] == ["other", "devin_key"]
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
def test_another_server_of_that_name_is_not_touched(
    theirs: object, cursor: Path, tmp_path: Path
) -> None:
    cursor.write_text(before := json.dumps({"mcpServers": {"devin": theirs}}))
    done = config("cursor", "--write", home=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "another server called devin" in done.stderr
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
def test_a_file_that_cannot_be_understood_is_left_as_it_is(
    before: bytes, cursor: Path, tmp_path: Path
) -> None:
    cursor.write_bytes(before)
    done = config("cursor", "--write", home=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "nothing was changed" in done.stderr
    assert cursor.read_bytes() == before
    assert list(cursor.parent.iterdir()) == [cursor], "nothing is left lying about"


@pytest.mark.parametrize(
    "before",
    [b"", b" \n", b"\xef\xbb\xbf{}", b'{"mcpServers": null}'],
    ids=["empty", "blank", "bom", "null"],
)
def test_a_file_with_nothing_in_it_is_one(before: bytes, cursor: Path, tmp_path: Path) -> None:
    cursor.write_bytes(before)
    assert config("cursor", "--write", home=tmp_path).returncode == 0
    assert set(parsed(cursor)["mcpServers"]) == {"devin"}


def test_a_disk_that_is_full_takes_nothing_away(cursor: Path, tmp_path: Path) -> None:
    cursor.write_text(before := json.dumps({"mcpServers": {}, "notes": "x" * 5000}))
    limited = f"ulimit -f 3; exec {COMMAND[0]} -m devin_mcp config cursor --write"
    given = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # or its own files are cut short, too
    done = subprocess.run(
        ["bash", "-c", limited],
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nothing was changed" in done.stderr
    assert cursor.read_text() == before
    assert list(cursor.parent.iterdir()) == [cursor]


def test_a_link_stays_one_and_a_directory_is_no_file(cursor: Path, tmp_path: Path) -> None:
    (kept := tmp_path / "dotfiles").write_text("{}")
    cursor.symlink_to(kept)
    assert config("cursor", "--write", home=tmp_path).returncode == 0
    assert cursor.is_symlink()
    assert "devin" in kept.read_text()
    cursor.unlink()
    cursor.mkdir()
    done = config("cursor", "--write", home=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_home_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (home := tmp_path / "home").write_text("")
    done = subprocess.run(
        [*COMMAND, "config", "cursor", "--write"],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "cannot be written" in done.stderr
