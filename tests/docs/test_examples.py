"""What the README tells people to run is run, by programs that are not ours."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.cli.client_configs import CLIENTS
from tests.packaging.installed import ROOT, run, with_uv
from tests.third_party import processes
from tests.third_party.hosts import host
from tests.third_party.inspector import Inspector
from tests.third_party.processes import DEVIN_MCP, PACKAGES

README = (ROOT / "README.md").read_text()
CALLS: list[tuple[str, dict[str, Any]]] = [
    (name, json.loads(arguments))
    for name, arguments in re.findall(r"^(devin_[a-z_]+) +(\{.*\})$", README, re.MULTILINE)
]
LONGEST = 60.0
"""Seconds for the whole conversation; the simulated Devin takes about eight."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with processes.serving(
        [DEVIN_MCP, "http", "--sandbox", "--port", "0", "--log-format", "json"], tmp_path / "log"
    ) as address:
        yield address


def judge(answers: list[dict[str, Any]]) -> None:
    """The conversation goes as the README says: it is started, asks, is answered and delivers, and then nothing is new."""
    started, asked, answered, after = (one["structuredContent"] for one in answers)
    assert not any(one.get("isError") for one in answers)
    assert {"session_id", "url", "phase"} <= set(started)
    for one, phase in ((asked, "waiting"), (answered, "done"), (after, "done")):
        assert one["sessions"][0]["phase"] == phase
        assert {"cursor", "next"} <= set(one)
    assert "strict" in asked["sessions"][0]["messages"][-1]["message"]
    assert "pull_requests" in answered["sessions"][0]
    assert not after["sessions"][0].get("messages")


def test_the_typescript_client_makes_the_calls(node: str, url: str) -> None:
    command = [node, "--input-type=module", "-", url, json.dumps(CALLS)]
    script = ROOT / "tests" / "witnesses" / "examples.mjs"
    done = processes.run(command, cwd=PACKAGES.parent, timeout=LONGEST, script=script)
    assert done.status == 0, str(done)
    judge(json.loads(done.out))


def test_the_inspector_makes_the_calls(node: str, url: str, tmp_path: Path) -> None:
    inspector = Inspector(node, tmp_path, "modern", url)
    answers: list[dict[str, Any]] = []
    session, cursor = "SESSION", "CURSOR"
    for name, example in CALLS:
        filled = json.dumps(example).replace("SESSION", session).replace("CURSOR", cursor)
        done = inspector.client(name, filled)
        assert done.status == 0, str(done)
        answers.append(json.loads(done.out)["result"])
        content = answers[-1]["structuredContent"]
        session, cursor = content.get("session_id", session), content.get("cursor", cursor)
    judge(answers)


@pytest.mark.usefixtures("node")
def test_claude_code_takes_the_lines_for_it(tmp_path: Path) -> None:
    lines = re.findall(r"^claude (mcp add .+)$", README, re.MULTILINE)
    assert len(lines) == 3
    serve = [
        DEVIN_MCP,
        "http",
        "--sandbox",
        "--auth",
        "caller-key",
        "--port",
        "0",
        "--log-format",
        "json",
    ]
    with processes.serving(serve, tmp_path / "log") as address:
        for line in lines:
            host(
                "claude",
                tmp_path,
                *shlex.split(line.replace("https://mcp.example.com/mcp", address)),
            )
        said = host("claude", tmp_path, "mcp", "list")
    assert f"devin-http: {address} (HTTP) - ✔ Connected" in said
    assert "devin-sandbox: uvx devin-mcp --sandbox - ✔ Connected" in said
    assert "devin: uvx devin-mcp - ✔ Connected" in said
    kept = (tmp_path / ".claude.json").read_text()
    assert "${DEVIN_API_KEY}" in kept
    assert "apk_" not in kept, "the key is referred to and not copied"


COMMANDS = sorted(
    {
        one
        for one in re.findall(r"uvx (devin-mcp config [^`#|\n]+[^`#|\s])", README)
        if "CLIENT" not in one
    }
)


def test_the_lines_for_every_client_work(tmp_path: Path) -> None:
    """In a home and a project of their own, in the README's words."""
    (project := tmp_path / "project").mkdir()
    assert len(COMMANDS) >= len(CLIENTS)
    for command in COMMANDS:
        run("uvx", *shlex.split(command), env=with_uv(HOME=str(tmp_path)), cwd=project)
    for name, one in CLIENTS.items():
        if f"devin-mcp config {name} --write" in COMMANDS:
            assert list(tmp_path.rglob(Path(one.file).name)), f"{one.title} has no file"
