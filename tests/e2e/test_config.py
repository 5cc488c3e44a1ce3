"""What is printed for a client is used just as it says, and what is written keeps everything else."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from devin_mcp.clients import CLIENTS, PUBLISHED, rendered
from tests.e2e.processes import COMMAND, environment
from tests.packaging.installed import ROOT, run, with_uv
from tests.upstream import KEY

JSON_FILES = [name for name in CLIENTS if name not in {"codex", "json"}]


def config(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    given = environment(HOME=str(home)) if home else environment(DEVIN_API_KEY=KEY)
    return subprocess.run(
        [*COMMAND, "config", *arguments], env=given, cwd=home, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def entry_in(name: str, text: str) -> dict[str, Any]:
    """The one server in it."""
    contents = tomllib.loads(text) if name == "codex" else json.loads(text)
    group = next(contents[key] for key in ("mcpServers", "servers", "context_servers", "mcp_servers") if key in contents)
    ((_, entry),) = group.items()
    found: dict[str, Any] = entry
    return found


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_that_does_as_it_is_told_reaches_the_server(name: str) -> None:
    done = config(name, "--sandbox")
    assert done.returncode == 0, done.stderr
    entry = entry_in(name, done.stdout)
    assert Path(entry["command"]).is_absolute()
    started = StdioServerParameters(command=entry["command"], args=entry["args"], env=environment(**entry.get("env", {})))
    async with Client(stdio_client(started)) as client:
        assert len((await client.list_tools()).tools) == 22


@pytest.mark.parametrize("name", CLIENTS)
def test_a_key_is_asked_for_or_referred_to_and_never_copied(name: str) -> None:
    for arguments in ([name], [name, "--http", "https://mcp.example.com/mcp"]):
        done = config(*arguments)
        assert done.returncode == 0
        assert KEY not in done.stdout + done.stderr
        told = re.findall(
            r"apk_\.\.\.|\$\{DEVIN_API_KEY\}|\$\{env:DEVIN_API_KEY\}|\$DEVIN_API_KEY|\$\{input:devin_key\}|DEVIN_API_KEY",
            done.stdout,
        )
        assert told, "the client is told where the key comes from"
    assert "https://mcp.example.com/mcp" in done.stdout


@pytest.mark.parametrize("name", JSON_FILES)
def test_writing_keeps_everything_else_and_leaves_a_backup(name: str, tmp_path: Path) -> None:
    first = config(name, "--write", "--sandbox", home=tmp_path)
    assert first.returncode == 0, first.stderr
    (file,) = list(tmp_path.rglob("*.json"))
    fresh = json.loads(file.read_text())
    group = next(key for key in ("mcpServers", "servers", "context_servers") if key in fresh)
    mine = {"theme": "dark", group: {"other": {"command": "x", "args": ["é"]}, "devin-sandbox": {"command": "old"}}}
    file.write_text(json.dumps(mine))
    file.chmod(0o600)
    again = config(name, "--write", "--sandbox", home=tmp_path)
    after = json.loads(file.read_text())
    assert (after["theme"], after[group]["other"]) == ("dark", mine[group]["other"])  # type: ignore[index]
    assert after[group]["devin-sandbox"] == fresh[group]["devin-sandbox"]
    backup = file.with_name(f"{file.name}.before-devin-mcp")
    assert json.loads(backup.read_text()) == mine
    assert backup.stat().st_mode == file.stat().st_mode, "who could not read the keys in it still cannot"
    assert "before-devin-mcp" in again.stdout
    assert "has it already" in config(name, "--write", "--sandbox", home=tmp_path).stdout


def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".cursor").mkdir()
    file = tmp_path / ".cursor" / "mcp.json"
    file.write_text("{ // my servers\n}")
    done = config("cursor", "--write", home=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nothing was changed" in done.stderr
    assert file.read_text() == "{ // my servers\n}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["cursr"], "did you mean cursor"), (["codex", "--write"], "TOML"), (["cursor", "--http", "x"], "web address")],
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], says: str) -> None:
    done = config(*arguments)
    assert (done.returncode, done.stderr.count("\n"), says in done.stderr) == (2, 1, True)


def test_without_a_client_they_are_listed() -> None:
    assert [line.split()[0] for line in config().stdout.splitlines()] == list(CLIENTS)


def test_links_hold_the_whole_configuration_and_no_key() -> None:
    """What the editor's own handlers get to see."""
    for name, link in CLIENTS["vs-code"].links.items():
        query = parse_qs(urlsplit(link(PUBLISHED)).query)
        assert json.loads(query["config"][0]) == json.loads(rendered("vs-code", PUBLISHED))["servers"]["devin"]
        assert json.loads(query["inputs"][0])[0]["password"] is True
        assert (query["name"], "quality" in query) == (["devin"], "Insiders" in name)
    query = parse_qs(urlsplit(CLIENTS["cursor"].links["Cursor"](PUBLISHED)).query)
    assert json.loads(base64.b64decode(query["config"][0])) == json.loads(rendered("cursor", PUBLISHED))["mcpServers"]["devin"]


async def test_what_uvx_keeps_for_a_while_is_no_place_to_point_at() -> None:
    """Its environments are cleared away, so a client is told of uvx, and of where the package came from if that matters."""
    env = with_uv()
    found = entry_in("json", run("uvx", "devin-mcp", "config", "json", "--sandbox", env=env))
    assert (Path(found["command"]).stem, found["args"]) == ("uvx", ["devin-mcp", "--sandbox"])
    assert Path(found["command"]).is_absolute()
    found = entry_in("json", run("uvx", "--from", str(ROOT), "devin-mcp", "config", "json", "--sandbox", env=env))
    assert found["args"] == ["--from", ROOT.as_uri(), "devin-mcp", "--sandbox"]
    async with Client(stdio_client(StdioServerParameters(command=found["command"], args=found["args"], env=env))) as client:
        assert len((await client.list_tools()).tools) == 22


@pytest.mark.parametrize("held", ["apk_...", "${DEVIN_API_KEY}", "${env:DEVIN_API_KEY}", "$DEVIN_API_KEY", "${input:devin_key}"])
async def test_a_key_that_nobody_filled_in_is_said_to_be_one(held: str) -> None:
    command = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment(DEVIN_API_KEY=held))
    async with Client(stdio_client(command)) as client:
        told = await client.call_tool("devin_list_sessions", {})
    assert told.is_error
    assert "a placeholder that nobody filled in; nothing was sent" in str(told.content[0])
