"""Commands and calls in the documentation work.

That the clients' files start the server with `uvx devin-mcp` is tested in
tests/manifests/test_hosts.py, what `config` writes in tests/cli/test_config_files.py, and calls by
the inspector in tests/e2e/test_third_party.py.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.cli.client_configs import CLIENTS
from devin_mcp.cli.main import main
from tests.docs.pages import DELEGATING, OPERATING, README, ROOT
from tests.third_party import processes
from tests.third_party.hosts import host
from tests.third_party.processes import DEVIN_MCP, PACKAGES

CALLS: list[tuple[str, dict[str, Any]]] = [
    (tool, json.loads(arguments))
    for tool, arguments in re.findall(
        r"^(devin_[a-z_]+) +(\{.*\})$", DELEGATING.read_text(), re.MULTILINE
    )
]
COMMANDS_TEXT = README.read_text() + OPERATING.read_text()
CONFIG_COMMANDS = sorted(
    set(re.findall(r"uvx devin-mcp (config [^`#|\n]+[^`#|\s])", COMMANDS_TEXT))
)
CONVERSATION_TIMEOUT = 60.0
"""Seconds for all calls; the simulated Devin needs about eight."""
SERVE = [DEVIN_MCP, "http", "--sandbox", "--port", "0", "--log-format", "json"]


def test_typescript_client_makes_the_calls_of_the_example(node: str, tmp_path: Path) -> None:
    """Devin starts, asks, is answered and delivers; after that nothing is new."""
    with processes.start_server(SERVE, tmp_path / "log") as url:
        process = processes.run(
            [node, "--input-type=module", "-", url, json.dumps(CALLS)],
            cwd=PACKAGES.parent,
            timeout=CONVERSATION_TIMEOUT,
            script=ROOT / "tests" / "third_party" / "examples.mjs",
        )
    assert process.status == 0, str(process)
    answers = json.loads(process.out)
    assert not any(answer.get("isError") for answer in answers)
    started, question, delivery, nothing_new = (answer["structuredContent"] for answer in answers)
    assert {"session_id", "url", "phase"} <= set(started)
    for result, phase in ((question, "waiting"), (delivery, "done"), (nothing_new, "done")):
        (row,) = result.get("sessions", [result])
        assert row["phase"] == phase
        assert {"cursor", "next"} <= set(result)
    assert "strict" in question["sessions"][0]["messages"][-1]["message"]
    assert "pull_requests" in delivery
    assert not nothing_new["sessions"][0].get("messages")


@pytest.mark.usefixtures("node")
def test_claude_code_accepts_the_documented_commands(tmp_path: Path) -> None:
    commands = re.findall(r"^ *claude (mcp add .+)$", COMMANDS_TEXT, re.MULTILINE)
    assert len(commands) == 3
    with processes.start_server([*SERVE, "--auth", "caller-key"], tmp_path / "log") as url:
        for command in commands:
            words = shlex.split(command.replace("https://mcp.example.com/mcp", url))
            host("claude", tmp_path, *words)
        output = host("claude", tmp_path, "mcp", "list")
    assert f"devin-http: {url} (HTTP) - ✔ Connected" in output
    assert "devin-sandbox: uvx devin-mcp --sandbox - ✔ Connected" in output
    assert "devin: uvx devin-mcp - ✔ Connected" in output
    configuration = (tmp_path / ".claude.json").read_text()
    assert "${DEVIN_API_KEY}" in configuration
    assert not re.search("apk_|cog_", configuration), "the key must be referred to, not copied"


def test_every_client_has_a_documented_config_command() -> None:
    assert set(CLIENTS) == {command.split()[1] for command in CONFIG_COMMANDS}


@pytest.mark.usefixtures("logs")
@pytest.mark.parametrize("command", CONFIG_COMMANDS)
def test_documented_config_command_succeeds(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process, with a home directory and a project of its own."""
    (project := tmp_path / "project").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(project)
    words = shlex.split(command)
    assert main(words) == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    file = CLIENTS[words[1]].file
    written = list(tmp_path.rglob(Path(file).name))
    assert bool(written) == ("--write" in words)
    assert written or "devin" in output
