"""Commands and flags: a wrong value is one line on stderr and exit status 2."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from devin_mcp.cli import demo
from devin_mcp.operations.catalog import READ
from devin_mcp.settings.toolsets import DEFAULT_TOOLSETS, TOOLSETS, USAGE
from tests.cli.command_line import CommandLine
from tests.declared import declared_tools
from tests.demo_svg import COMMAND as PROMPT
from tests.demo_svg import PICTURE, draw, plain, read, shown_lines
from tests.e2e.processes import COMMAND, environment


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--max-acu", "lots"], {}, "--max-acu must be a whole number from 1 to 100000"),
        (["--timeout", "0"], {}, "--timeout must be a number of seconds"),
        (["--toolsets", "sesions"], {}, "did you mean sessions?"),
        (["--tools", "devin_get_sesion"], {}, "did you mean devin_get_session?"),
        (["--exclude-tools", "x"], {}, "`devin-mcp tools` lists them"),
        (["--allow-secret-env", "DEVIN_API_KEY"], {}, "may not name a DEVIN_ variable"),
        (["--files-root", "/no/such/dir"], {}, "must be an existing directory"),
        (["--log-level", "loud"], {}, "must be one of: debug"),
        ([], {"DEVIN_MCP_RESULT_LIMIT": "5"}, "DEVIN_MCP_RESULT_LIMIT must be"),
        ([], {"DEVIN_MCP_MAXACU": "5"}, "did you mean DEVIN_MCP_MAX_ACU?"),
        ([], {"DEVIN_MCP_SANDBOX": "perhaps"}, "must be v1 or v3"),
        ([], {"DEVIN_BASE_URL": "api.devin.ai"}, "must be a web address"),
        ([], {"DEVIN_BASE_URL": "https://me:pw@x"}, "must not hold a user name"),
        ([], {"DEVIN_API_KEY": "two words"}, "DEVIN_API_KEY holds characters"),
        ([], {"DEVIN_BASE_URL": "http://127.0.0.1:99999"}, "has a port"),
        (["--files-root", "~nobody-of-that-name/x"], {}, "must be an existing directory"),
        (["--files-root", "x" * 300], {}, "must be an existing directory"),
        ([], {"DEVIN_BASE_URL": "https://exa mple.com"}, "must be a web address"),
        ([], {"DEVIN_BASE_URL": "https://xn--a.com"}, "must be a web address"),
        ([], {"DEVIN_BASE_URL": "http://[::1"}, "must be a web address"),
        ([], {"DEVIN_BASE_URL": "https://api.devin.ai/v1"}, "without /v1"),
        (
            ["--allow-secret-env", "TOKEN=hunter22"],
            {},
            "must be the name of an environment variable",
        ),
        (["--toolsets", ","], {}, "names nothing"),
        (["--tools", "get_session", "--exclude-tools", "get_session"], {}, "leave no tool"),
        (["--sandbx"], {}, "did you mean --sandbox?"),
        (["stdio", "--hos"], {}, "there is no flag --hos; see devin-mcp --help"),
        (["--port", "8080"], {}, "--port is not for `devin-mcp stdio` but for: http, sandbox"),
        (["--allow-secret-env", "A", "http"], {}, "--allow-secret-env is not for `devin-mcp http`"),
        (["fly"], {}, "invalid choice"),
        (["confg"], {}, "did you mean config?"),
        (["--read-only=no"], {}, "see devin-mcp --help"),
        (["--max-acu"], {}, "expected one argument"),
        (["--sandbox", "v4"], {}, "--sandbox must be v1 or v3 (it is 'v4')"),
    ],
)
def test_wrong_value_is_one_line_and_status_2(
    cli: CommandLine, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    finished = cli(*arguments, **variables)
    assert finished.status == 2
    assert message in finished.stderr
    assert finished.stderr.count("\n") == 1
    assert not any(secret in finished.stderr for secret in ("two words", "me:pw", "hunter22"))
    assert finished.stdout == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])  # noqa: S104 - no socket
def test_http_refuses_a_public_host_without_auth(cli: CommandLine, host: str) -> None:
    finished = cli("http", "--host", host, "--sandbox")
    assert finished.status == 2
    assert "loopback" in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_http_on_a_taken_port_is_one_line_and_status_2(cli: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        finished = cli("http", "--port", str(listener.getsockname()[1]), "--sandbox")
    assert finished.status == 2
    assert "--port" in finished.stderr
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", ["stdio", "http", "sandbox", "demo", "tools", "doctor", "config"]
)
def test_every_command_has_help_and_version(cli: CommandLine, command: str) -> None:
    assert "usage: devin-mcp" in cli(command, "--help").stdout
    assert cli(command, "--version").stdout.startswith("devin-mcp 0.")


def test_process_exits_with_the_status_of_main() -> None:
    finished = subprocess.run(
        [*COMMAND, "--max-acu", "lots"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("devin-mcp: --max-acu must be")


def test_flag_beats_variable_before_and_after_the_command(cli: CommandLine) -> None:
    def names(*arguments: str, **variables: str) -> set[str]:
        tools = json.loads(cli(*arguments, **variables).stdout)["tools"]
        return {tool["name"] for tool in tools}

    assert names("--read-only", "tools", "--json") == declared_tools(READ)
    assert names("tools", "--read-only", "--json") == declared_tools(READ)
    every = names("tools", "--json", "--no-read-only", DEVIN_MCP_READ_ONLY="1")
    assert every == declared_tools()
    assert names("tools", "--json", DEVIN_MCP_READ_ONLY="yes") == declared_tools(READ)
    excluded = ("--exclude-tools", "get_session", "tools", "--exclude-tools", "list_sessions")
    assert every - names(*excluded, "--json") == {"devin_get_session", "devin_list_sessions"}


def test_flag_value_that_is_a_command_name_is_a_value(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    finished = cli.at(tmp_path)("--files-root", "sandbox", "tools")
    assert finished.status == 0, finished.stderr


def test_deleted_working_directory_does_not_stop_the_start(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    script = f"mkdir {gone} && cd {gone} && rmdir {gone} && {COMMAND[0]} -m devin_mcp tools"
    finished = subprocess.run(
        script,
        shell=True,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    assert f"{len(declared_tools())} tools" in finished.stdout


def test_windows_system_directory_is_no_files_root(cli: CommandLine, tmp_path: Path) -> None:
    system = tmp_path / "Windows" / "System32"
    system.mkdir(parents=True)
    for directory, allowed in ((system, False), (tmp_path, True)):
        root = str(tmp_path / "Windows")
        finished = cli.at(directory)("doctor", "--sandbox", SYSTEMROOT=root)
        assert finished.status == 0, finished.stderr
        assert ("no directory is allowed" not in finished.stdout) is allowed


def test_tools_prints_a_table(cli: CommandLine) -> None:
    finished = cli("tools", "--toolsets", "playbooks")
    assert finished.status == 0
    assert "devin_delete_playbook" in finished.stdout
    assert "destroy" in finished.stdout
    assert "devin_list_sessions" not in finished.stdout


def test_tools_shows_what_each_toolset_costs(cli: CommandLine) -> None:
    finished = cli("tools", "--sandbox", "v3", "--toolsets", "default,usage")
    assert finished.status == 0
    rows = {
        row.split()[0]: row.split()[1:5]
        for row in finished.stdout.partition("what its tools do\n")[2].splitlines()
        if row and row.split()[0] in {toolset.name for toolset in TOOLSETS}
    }
    assert rows.keys() == {toolset.name for toolset in TOOLSETS}
    on = {name for name, (state, *_) in rows.items() if state == "on"}
    assert on == {toolset.name for toolset in (*DEFAULT_TOOLSETS, USAGE)}
    usage = next(line for line in finished.stdout.splitlines() if "devin_get_usage" in line)
    assert rows["usage"][1] == "1"
    assert int(rows["usage"][2]) // 4 == int(rows["usage"][3])
    assert f" {rows['usage'][3]} " in usage


def test_tools_of_v1_show_no_toolset_of_v3_alone(cli: CommandLine) -> None:
    finished = cli("tools", "--sandbox", "v1")
    assert "schedules" not in finished.stdout
    refused = cli("tools", "--sandbox", "v1", "--toolsets", "schedules")
    assert refused.status == 2
    assert "do not exist on v1" in refused.stderr


@pytest.mark.parametrize(("command", "first_line"), [("tools --json", "{"), ("demo", "Connected")])
def test_closed_output_pipe_is_no_error(command: str, first_line: str) -> None:
    finished = subprocess.run(
        f"{COMMAND[0]} -m devin_mcp {command} | head -n 1",
        shell=True,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert first_line in finished.stdout
    assert finished.stderr == ""


def test_failing_demo_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    status = demo.run_demo("sandbox:quota")
    errors = capsys.readouterr().err
    assert status == 1
    assert "out of quota" in errors
    assert "Traceback" not in errors


def test_demo_shows_a_whole_delegation_and_uses_no_key() -> None:
    """Also compares the README's picture; `UPDATE_DOCS=1` draws it again."""
    finished = subprocess.run(
        [*COMMAND, "demo"],
        env=environment(DEVIN_API_KEY="apk_real_key_1234", DEVIN_BASE_URL="http://127.0.0.1:1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    for step in (
        "Connected",
        "Tools",
        "You ask",
        "Devin says",
        "You answer",
        "Pull request",
        "A resource",
        "A wrong id",
        "mcp_call",
        "The other API",
        "POST /v1/sessions",
        "/v3/organizations/{org_id}/sessions",
    ):
        assert step in finished.stdout
    row = r"^ +Task repeated +(devin-\w{32}) +(devin-\w{32})$"
    ids = re.findall(row, finished.stdout, re.MULTILINE)
    assert [v1_id == v3_id for v1_id, v3_id in ids] == [True], "the APIs answered another session"
    assert "apk_real" not in finished.stdout + finished.stderr
    demo_text = plain([PROMPT, *shown_lines(finished.stdout)])
    if os.environ.get("UPDATE_DOCS") and plain(read(PICTURE.read_text())) != demo_text:
        PICTURE.write_text(draw(finished.stdout))
    assert plain(read(PICTURE.read_text())) == demo_text, "the README's picture is of another demo"
