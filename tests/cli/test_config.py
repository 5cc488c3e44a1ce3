"""What is printed for a client is used just as it says, and what is written keeps everything else."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from devin_mcp.cli.client_configs import BRIDGE, CLIENTS, PUBLISHED, rendered
from tests.e2e.processes import COMMAND, environment, serving
from tests.packaging.installed import ROOT, built, run, tools_of, wheel, with_uv
from tests.third_party import processes
from tests.third_party.processes import PACKAGES
from tests.upstream import KEY


@contextmanager
def http_server(folder: Path) -> Iterator[int]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def config(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    given = environment(HOME=str(home)) if home else environment(DEVIN_API_KEY=KEY)
    return subprocess.run(
        [*COMMAND, "config", *arguments],
        env=given,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def entry_in(name: str, text: str) -> dict[str, Any]:
    """The one server in it."""
    contents = tomllib.loads(text) if name == "codex" else json.loads(text)
    group = next(
        contents[key]
        for key in ("mcpServers", "servers", "context_servers", "mcp_servers")
        if key in contents
    )
    ((_, entry),) = group.items()
    found: dict[str, Any] = entry
    return found


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_that_does_as_it_is_told_reaches_the_server(name: str) -> None:
    done = config(name, "--sandbox")
    assert done.returncode == 0, done.stderr
    entry = entry_in(name, done.stdout)
    assert Path(entry["command"]).is_absolute()
    assert (
        await tools_of(entry["command"], entry["args"], env=environment(**entry.get("env", {})))
        == 22
    )


SHAPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "claude-desktop": (
        "mcpServers",
        ".config/Claude/claude_desktop_config.json",
        {
            "command": "npx",
            "args": ["-y", BRIDGE, "URL", "--header", "X-Devin-Api-Key:${DEVIN_API_KEY}"],
            "env": {"DEVIN_API_KEY": "apk_..."},
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
        {"url": "URL", "headers": {"X-Devin-Api-Key": "apk_..."}},
    ),
    "codex": (
        "mcp_servers",
        ".codex/config.toml",
        {
            "url": "URL",
            "env_http_headers": {"X-Devin-Api-Key": "DEVIN_API_KEY"},
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
            "timeout": 120_000,
        },
    ),
    "json": ("mcpServers", "mcp.json", {"url": "URL", "headers": {"X-Devin-Api-Key": "apk_..."}}),
}
"""Client -> the group, the file and the entry for an address, written down from its own documentation."""


@pytest.mark.parametrize("name", CLIENTS)
def test_a_server_elsewhere_is_told_of_in_the_clients_own_shape(name: str, tmp_path: Path) -> None:
    group, file, entry = SHAPES[name]
    done = config(name, "--http", "https://mcp.example.com/mcp")
    contents = tomllib.loads(done.stdout) if name == "codex" else json.loads(done.stdout)
    assert contents[group] == {
        "devin": json.loads(json.dumps(entry).replace("URL", "https://mcp.example.com/mcp"))
    }
    assert KEY not in done.stdout + done.stderr
    if name != "json" and sys.platform == "linux":
        assert config(name, "--write", "--sandbox", home=tmp_path).returncode == 0
        assert (tmp_path / file).is_file()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_key_in_the_environment_is_never_copied(name: str) -> None:
    done = config(name)
    assert (done.returncode, KEY in done.stdout + done.stderr) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cursr"], "did you mean cursor"),
        (["json", "--write"], "has no file"),
        (["cursor", "--http", "x"], "web address"),
        (["cursor", "--http", ""], "web address"),
        (["cursor", "--auth", "token"], "goes with --http"),
        (["cursor", "--http", "https://h/mcp", "--read-only"], "has settings of its own"),
        (["claude"], "`devin-mcp config` lists them"),
        (["cursor", "--http", 'https://h/a"b'], "web address"),
        (["apk_user_0123456789"], "[hidden]"),
    ],
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
        assert (
            json.loads(query["config"][0])
            == json.loads(rendered("vs-code", PUBLISHED))["servers"]["devin"]
        )
        assert json.loads(query["inputs"][0])[0]["password"] is True
        assert (query["name"], "quality" in query) == (["devin"], "Insiders" in name)
    query = parse_qs(urlsplit(CLIENTS["cursor"].links["Cursor"](PUBLISHED)).query)
    assert (
        json.loads(base64.b64decode(query["config"][0]))
        == json.loads(rendered("cursor", PUBLISHED))["mcpServers"]["devin"]
    )


def test_a_key_that_would_travel_in_clear_is_warned_of() -> None:
    assert "travel in clear" in config("cursor", "--http", "http://mcp.example.com/mcp").stderr
    assert "travel in clear" not in config("cursor", "--http", "http://127.0.0.1:8000/mcp").stderr


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
def test_a_server_elsewhere_gets_what_it_lets_callers_in_by(
    name: str, arguments: list[str], header: str
) -> None:
    text = config(name, "--http", "https://mcp.example.com/mcp", *arguments).stdout
    sent = {
        word
        for word in ("X-Devin-Api-Key", "Authorization")
        if word in text or (word[0] == "A" and "bearer_token" in text)
    }
    assert sent == ({header} - {""})
    assert ("DEVIN_CALLER_TOKEN" in text or "devin_token" in text or "your-token" in text) == (
        header == "Authorization"
    )


def test_a_server_on_this_machine_asks_nobody_unless_told() -> None:
    assert "headers" not in config("cursor", "--http", "http://127.0.0.1:8000/mcp").stdout
    assert (
        "X-Devin-Api-Key"
        in config("cursor", "--http", "http://127.0.0.1:8000/mcp", "--auth", "caller-key").stdout
    )
    assert "ends in /mcp" in config("cursor", "--http", "https://mcp.example.com").stderr


async def test_limits_go_into_the_clients_file(tmp_path: Path) -> None:
    done = config(
        "json",
        "--sandbox",
        "--read-only",
        "--max-acu",
        "5",
        "--toolsets",
        "sessions,secrets",
        "--files-root",
        str(tmp_path),
    )
    entry = entry_in("json", done.stdout)
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
    async with Client(
        stdio_client(
            StdioServerParameters(command=entry["command"], args=entry["args"], env=environment())
        )
    ) as client:
        assert {tool.name.split("_")[1] for tool in (await client.list_tools()).tools} <= {
            "list",
            "get",
            "wait",
        }


def test_an_address_of_its_own_goes_along_and_the_key_does_not() -> None:
    given = environment(DEVIN_API_KEY=KEY, DEVIN_BASE_URL="https://devin.example.com")
    done = subprocess.run(
        [*COMMAND, "config", "json"],
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert entry_in("json", done.stdout)["env"] == {
        "DEVIN_BASE_URL": "https://devin.example.com",
        "DEVIN_API_KEY": "apk_...",
    }


@pytest.mark.usefixtures("node")
async def test_claude_desktop_reaches_a_server_elsewhere_over_a_bridge() -> None:
    """Npx is what the file says; here the bridge it would fetch is at hand."""
    async with serving("--sandbox", "--auth", "caller-key") as (_, url):
        text = config("claude-desktop", "--http", url, "--auth", "caller-key").stdout.replace(
            "apk_...", KEY
        )
        entry = entry_in("claude-desktop", text)
        assert (entry["command"], entry["args"][:2]) == ("npx", ["-y", BRIDGE])
        bridge = PACKAGES / "mcp-remote"
        assert json.loads((bridge / "package.json").read_text())["version"] == BRIDGE.split("@")[1]
        command = [str(bridge / "dist" / "proxy.js"), *entry["args"][2:]]
        started = StdioServerParameters(
            command=processes.node(), args=command, env=environment(**entry["env"])
        )
        async with Client(stdio_client(started)) as client:
            assert not (await client.call_tool("devin_list_sessions", {})).is_error


async def test_what_uvx_keeps_for_a_while_is_no_place_to_point_at() -> None:
    """Its environments are cleared away, so a client is told of uvx, and of where the package came from if that matters."""
    env = with_uv()
    found = entry_in("json", run("uvx", "devin-mcp", "config", "json", "--sandbox", env=env))
    assert (Path(found["command"]).stem, found["args"]) == ("uvx", ["devin-mcp", "--sandbox"])
    assert Path(found["command"]).is_absolute()
    found = entry_in(
        "json", run("uvx", "--from", str(ROOT), "devin-mcp", "config", "json", "--sandbox", env=env)
    )
    assert found["args"] == ["--from", ROOT.as_uri(), "devin-mcp", "--sandbox"]
    assert await tools_of(found["command"], found["args"], env=env) == 22


def test_an_address_with_a_secret_in_it_is_not_written(tmp_path: Path) -> None:
    with http_server(built()) as port:
        origin = f"http://127.0.0.1:{port}/{wheel().name}?private_token=glpat_1"
        done = subprocess.run(
            ["uvx", "--from", origin, "devin-mcp", "config", "cursor", "--write"],
            env=with_uv(HOME=str(tmp_path)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, "may hold a secret" in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.rglob("mcp.json"))


def test_what_pipx_keeps_for_a_while_is_no_place_to_point_at_either(tmp_path: Path) -> None:
    env = tmp_path / "pipx" / ".cache" / "1a2b"
    run("uv", "venv", "--quiet", str(env), env=with_uv())
    run(
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(env / "bin" / "python"),
        str(wheel()),
        env=with_uv(),
    )
    found = entry_in("json", run(str(env / "bin" / "devin-mcp"), "config", "json"))
    assert (Path(found["command"]).name, found["args"]) == (
        "pipx",
        ["run", "--spec", wheel().as_uri(), "devin-mcp"],
    )


def test_a_pinned_revision_stays_pinned(tmp_path: Path) -> None:
    """What was looked at before it was trusted must be what runs."""
    (place := tmp_path / "repository" / "inside").mkdir(parents=True)
    for name in ("devin_mcp", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place / name)
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "x"],
        ["tag", "v9"],
    ):
        run("git", *words, cwd=place.parent)
    origin = f"git+{place.parent.as_uri()}@v9#subdirectory=inside"
    found = entry_in(
        "json", run("uvx", "--from", origin, "devin-mcp", "config", "json", env=with_uv())
    )
    assert found["args"] == ["--from", origin, "devin-mcp"]


@pytest.mark.parametrize(
    "held",
    [
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
async def test_a_key_that_nobody_filled_in_is_said_to_be_one(held: str, tmp_path: Path) -> None:
    command = StdioServerParameters(
        command=COMMAND[0], args=COMMAND[1:], env=environment(DEVIN_API_KEY=held)
    )
    with (tmp_path / "log").open("w") as log:
        async with Client(stdio_client(command, errlog=log)) as client:
            told = await client.call_tool("devin_list_sessions", {})
    assert "is a placeholder that the client did not fill in" in (tmp_path / "log").read_text()
    assert told.is_error
    assert "a placeholder that nobody filled in; nothing was sent" in str(told.content[0])
