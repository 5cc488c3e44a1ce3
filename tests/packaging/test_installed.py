"""Installed without any lock file, on every interpreter at hand, with the newest and with the lowest allowed libraries,
it serves: over stdio, over HTTP, from anywhere, to anybody.
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

from tests.e2e.processes import environment
from tests.packaging.installed import installed, interpreters, run, tools_of

INTERPRETERS = interpreters()
EACH = [
    *((python, "highest") for python in INTERPRETERS.values()),
    (sys.executable, "lowest-direct"),
]
each_installation = pytest.mark.parametrize(
    ("python", "resolution"),
    EACH,
    ids=[*INTERPRETERS, f"{sys.version_info.major}.{sys.version_info.minor}-lowest"],
)
ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}


def devin_mcp(where: Path) -> str:
    return str(where / "devin-mcp")


def test_a_whole_delegation_works_with_the_lowest_versions() -> None:
    assert "Pull request" in run(devin_mcp(installed(resolution="lowest-direct")), "demo")


@each_installation
async def test_both_transports_serve_as_installed(python: str, resolution: str) -> None:
    command = devin_mcp(installed(python, resolution))
    assert await tools_of(command, env=environment()) == 22
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(
        command,
        "http",
        "--sandbox",
        "--port",
        "0",
        "--log-format",
        "json",
        stderr=pipe,
        env=environment(),
    )
    assert server.stderr is not None
    try:
        async with asyncio.timeout(60):
            url = json.loads(await server.stderr.readline())["url"]
            async with Client(url) as client:
                made = await client.call_tool("devin_create_session", {"prompt": "sandbox:quick"})
            server.send_signal(signal.SIGTERM)
            _, said = await server.communicate()
    finally:
        with suppress(ProcessLookupError):
            server.kill()
    assert made.structured_content is not None
    assert (server.returncode, b"Traceback" in said) == (0, False)


@each_installation
def test_doctor_and_a_readable_log_work_as_installed(python: str, resolution: str) -> None:
    command = devin_mcp(installed(python, resolution))
    assert "Everything that can be checked for free is fine." in run(command, "doctor", "--sandbox")
    done = subprocess.run(
        [command, "--log-format", "console"],
        env=environment(),
        input=b"",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, b"no_key" in done.stderr, b"Traceback" in done.stderr) == (
        0,
        True,
        False,
    )


async def test_it_starts_from_anywhere_and_with_a_home_that_cannot_be_written() -> None:
    where = installed()
    assert " " in str(where), "a path with a space, which scripts may not survive"
    assert not str(where).isascii()
    home = "/sys" if sys.platform == "linux" else str(where)  # not even root writes there
    if sys.platform == "linux":
        with pytest.raises(OSError, match=r"denied|permitted"):
            Path("/sys/x").mkdir()
    for cwd in ("/", str(where), home):
        assert (
            await tools_of(devin_mcp(where), env=environment(HOME=home, USERPROFILE=home), cwd=cwd)
            == 22
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
def test_a_terminal_that_knows_ascii_alone_gets_everything_in_it(
    arguments: list[str], tmp_path: Path
) -> None:
    home = tmp_path / "hömé 日本"
    home.mkdir()
    done = subprocess.run(
        [devin_mcp(installed()), *arguments],
        env=environment(**ASCII, HOME=str(home)),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (2 if arguments[0] == "--files-root" else 0), done.stderr.decode()
    assert (done.stdout + done.stderr).isascii()
    assert b"Traceback" not in done.stderr


def test_the_log_is_ascii(tmp_path: Path) -> None:
    """Hosts show stderr in encodings of their own."""
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
        done = subprocess.run(
            [devin_mcp(installed()), "--sandbox", "--log-format", form],
            input="".join(json.dumps(one) + "\n" for one in lines).encode(),
            env=environment(),
            cwd=tmp_path / "é",
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert b"mcp_call" in done.stderr
        assert done.stderr.isascii(), done.stderr.decode()
