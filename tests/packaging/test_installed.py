"""The wheel, installed on every interpreter of this machine, serves over stdio and HTTP.

On the oldest interpreter it is installed a second time, with the lowest libraries that
pyproject.toml allows.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.declared import declared_tools
from tests.e2e.processes import environment
from tests.packaging.installed import START_TIMEOUT, install_wheel, interpreters, listed_tools, run

INTERPRETERS = interpreters()
INSTALLATIONS = [
    *((python, "highest") for python in INTERPRETERS.values()),
    (sys.executable, "lowest-direct"),
]
ASCII_LOCALE = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}


def devin_mcp(where: Path) -> str:
    return str(where / "devin-mcp")


@pytest.mark.parametrize(
    ("python", "resolution"),
    INSTALLATIONS,
    ids=[*INTERPRETERS, f"{sys.version_info.major}.{sys.version_info.minor}-lowest"],
)
async def test_installation_serves_stdio_and_http_and_runs_doctor(
    python: str, resolution: str, tmp_path: Path
) -> None:
    command = devin_mcp(await asyncio.to_thread(install_wheel, python, resolution))
    log = tmp_path / "log"
    stdio = StdioServerParameters(
        command=command, args=["--log-format", "console"], env=environment()
    )
    async with asyncio.timeout(START_TIMEOUT):
        with log.open("w") as errlog:
            async with Client(stdio_client(stdio, errlog=errlog)) as client:
                assert {tool.name for tool in (await client.list_tools()).tools} == declared_tools()
    assert "no_key" in log.read_text()
    assert "Traceback" not in log.read_text()
    await serve_http(command)
    report = await asyncio.to_thread(run, command, "doctor", "--sandbox")
    assert "Everything that can be checked for free is fine." in report


async def serve_http(command: str) -> None:
    """Start the server over HTTP, create a session through it, and stop it with SIGTERM."""
    arguments = ("http", "--sandbox", "--port", "0", "--log-format", "json")
    server = await asyncio.create_subprocess_exec(
        command, *arguments, stderr=asyncio.subprocess.PIPE, env=environment()
    )
    assert server.stderr is not None
    try:
        async with asyncio.timeout(START_TIMEOUT):
            url = json.loads(await server.stderr.readline())["url"]
            async with Client(url) as client:
                result = await client.call_tool("devin_create_session", {"prompt": "sandbox:quick"})
            server.send_signal(signal.SIGTERM)
            _, log = await server.communicate()
    finally:
        with suppress(ProcessLookupError):
            server.kill()
    assert result.structured_content is not None
    assert (server.returncode, b"Traceback" in log) == (0, False)


async def test_server_starts_from_any_directory_and_with_a_read_only_home() -> None:
    where = await asyncio.to_thread(install_wheel)
    assert " " in str(where), "the path has a space in it, which breaks some scripts"
    assert not str(where).isascii()
    home = "/sys" if sys.platform == "linux" else str(where)  # not even root can write there
    if sys.platform == "linux":
        with pytest.raises(OSError, match=r"denied|permitted"):
            Path("/sys/x").mkdir()
    for cwd in ("/", str(where), home):
        assert (
            await listed_tools(
                devin_mcp(where), env=environment(HOME=home, USERPROFILE=home), cwd=cwd
            )
            == declared_tools()
        )
    assert json.loads(run(devin_mcp(where), "config", "json"))["mcpServers"]["devin"][
        "command"
    ] == devin_mcp(where)


@pytest.mark.parametrize(
    "arguments",
    [
        ["config"],
        ["config", "cursor"],
        ["config", "codex"],
        ["doctor", "--sandbox"],
        ["tools"],
        ["--help"],
        ["demo"],
        ["--files-root", "/é/日本"],
    ],
    ids=lambda words: " ".join(words).encode("ascii", "replace").decode(),
)
def test_output_is_ascii_where_the_terminal_is(arguments: list[str], tmp_path: Path) -> None:
    """The demo runs on the lowest libraries: it is a whole delegation on both APIs."""
    home = tmp_path / "hömé 日本"
    home.mkdir()
    resolution = "lowest-direct" if arguments == ["demo"] else "highest"
    process = subprocess.run(
        [devin_mcp(install_wheel(resolution=resolution)), *arguments],
        env=environment(**ASCII_LOCALE, HOME=str(home)),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == (2 if arguments[0] == "--files-root" else 0), (
        process.stderr.decode()
    )
    assert (process.stdout + process.stderr).isascii()
    assert b"Traceback" not in process.stderr
    assert arguments != ["demo"] or b"Pull request" in process.stdout


def test_log_is_ascii_in_both_formats(tmp_path: Path) -> None:
    """Hosts decode stderr with encodings of their own."""
    (tmp_path / "é").mkdir()
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "Müllers Gerät", "version": "ü"},
    }
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "dévin", "arguments": {"ü": "ü"}},
        },
        {
            "jsonrpc": "2.0",
            "id": 3,
            "method": "tools/call",
            "params": {"name": "devin_list_sessions", "arguments": {}},
        },
    ]
    for form in ("json", "console"):
        process = subprocess.run(
            [devin_mcp(install_wheel()), "--sandbox", "--log-format", form],
            input="".join(json.dumps(line) + "\n" for line in lines).encode(),
            env=environment(),
            cwd=tmp_path / "é",
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert b"mcp_call" in process.stderr
        assert process.stderr.isascii(), process.stderr.decode()
