"""The command line: every wrong value is one clear line and status 2; help tells everything."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.demo_svg import COMMAND as PROMPT
from tests.demo_svg import PICTURE, draw, plain, read, told
from tests.e2e.processes import COMMAND, environment


def devin_mcp(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
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
        ([], {"DEVIN_MCP_SANDBOX": "perhaps"}, "must be true or false"),
        ([], {"DEVIN_BASE_URL": "api.devin.ai"}, "must be a web address"),
        ([], {"DEVIN_BASE_URL": "https://me:pw@x"}, "must not hold a user name"),
        ([], {"DEVIN_API_KEY": "two words"}, "DEVIN_API_KEY holds characters"),
        ([], {"DEVIN_BASE_URL": "http://127.0.0.1:99999"}, "has a port"),
        ([], {"SSL_CERT_FILE": "/no/such.pem"}, "must be an existing file"),
        ([], {"SSL_CERT_FILE": "~nobody-of-that-name/x"}, "must be an existing file"),
        (["--files-root", "~nobody-of-that-name/x"], {}, "must be an existing directory"),
        (["--files-root", "x" * 300], {}, "must be an existing directory"),
        ([], {"DEVIN_BASE_URL": "https://exa mple.com"}, "must be a web address"),
        ([], {"DEVIN_BASE_URL": "https://xn--a.com"}, "must be a web address"),
        ([], {"DEVIN_BASE_URL": "http://[::1"}, "must be a web address"),
        ([], {"DEVIN_BASE_URL": "https://api.devin.ai/v1"}, "without /v1"),
        ([], {"SSL_CERT_FILE": __file__}, "PEM"),
        (
            ["--allow-secret-env", "TOKEN=hunter22"],
            {},
            "must be the name of an environment variable",
        ),
        (["--toolsets", ","], {}, "names nothing"),
        (["--tools", "get_session", "--exclude-tools", "get_session"], {}, "leave no tool"),
        (["--sandbx"], {}, "did you mean --sandbox?"),
        (["--port", "8080"], {}, "--port is not for `devin-mcp stdio` but for: http, sandbox"),
        (["--allow-secret-env", "A", "http"], {}, "--allow-secret-env is not for `devin-mcp http`"),
        (["fly"], {}, "invalid choice"),
        (["confg"], {}, "did you mean config?"),
        (["--read-only=no"], {}, "see devin-mcp --help"),
        (["--max-acu"], {}, "expected one argument"),
    ],
)
def test_a_wrong_value_is_one_line_and_status_2(
    arguments: list[str], variables: dict[str, str], says: str
) -> None:
    done = devin_mcp(*arguments, **variables)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not any(secret in done.stderr for secret in ("two words", "me:pw", "hunter22"))
    assert done.stdout == ""


@pytest.mark.parametrize(
    "command", ["stdio", "http", "sandbox", "demo", "tools", "doctor", "config"]
)
def test_every_command_has_help_and_version(command: str) -> None:
    assert "usage: devin-mcp" in devin_mcp(command, "--help").stdout
    assert devin_mcp(command, "--version").stdout.startswith("devin-mcp 0.")


def test_a_flag_beats_the_environment_and_counts_before_and_after_the_command() -> None:
    for arguments in (["--read-only", "tools", "--json"], ["tools", "--read-only", "--json"]):
        assert len(json.loads(devin_mcp(*arguments).stdout)["tools"]) == 8
    assert (
        len(
            json.loads(
                devin_mcp("tools", "--json", "--no-read-only", DEVIN_MCP_READ_ONLY="1").stdout
            )["tools"]
        )
        == 22
    )
    assert (
        len(json.loads(devin_mcp("tools", "--json", DEVIN_MCP_READ_ONLY="yes").stdout)["tools"])
        == 8
    )
    both = devin_mcp(
        "--exclude-tools", "get_session", "tools", "--exclude-tools", "list_sessions", "--json"
    )
    assert len(json.loads(both.stdout)["tools"]) == 20


def test_a_value_that_looks_like_a_command_is_a_value(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    command = [*COMMAND, "--files-root", "sandbox", "tools"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_directory_that_was_deleted_is_no_reason_not_to_start(tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/gone && cd {tmp_path}/gone && rmdir {tmp_path}/gone && {COMMAND[0]} -m devin_mcp tools"
    done = subprocess.run(
        script,
        shell=True,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "22 tools" in done.stdout) == (0, True), done.stderr


def test_where_windows_starts_its_programs_is_no_place_for_files(tmp_path: Path) -> None:
    (there := tmp_path / "Windows" / "System32").mkdir(parents=True)
    for where, allowed in ((there, False), (tmp_path, True)):
        found = subprocess.run(
            [*COMMAND, "doctor", "--sandbox"],
            cwd=where,
            env=environment(SYSTEMROOT=str(tmp_path / "Windows")),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert ("no directory is allowed" not in found.stdout) is allowed


def test_tools_are_a_table_for_people() -> None:
    done = devin_mcp("tools", "--toolsets", "playbooks")
    assert done.returncode == 0
    assert "devin_delete_playbook" in done.stdout
    assert "destroy" in done.stdout
    assert "5 tools" in done.stdout


def test_a_reader_who_has_seen_enough_is_no_trouble() -> None:
    done = subprocess.run(
        f"{COMMAND[0]} -m devin_mcp tools --json | head -n 1",
        shell=True,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_a_demo_that_fails_is_one_line_and_status_1() -> None:
    code = "import devin_mcp.cli.demo as demo; demo.PROMPT = 'sandbox:quota'; raise SystemExit(demo.run())"
    done = subprocess.run(
        [COMMAND[0], "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "out of quota" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_shows_a_whole_delegation_without_touching_a_key() -> None:
    done = devin_mcp("demo", DEVIN_API_KEY="apk_real_key_1234", DEVIN_BASE_URL="http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
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
    ):
        assert step in done.stdout
    assert "apk_real" not in done.stdout + done.stderr
    if os.environ.get("UPDATE_DOCS") and plain(read(PICTURE.read_text())) != plain(
        [PROMPT, *told(done.stdout)]
    ):
        PICTURE.write_text(draw(done.stdout))
    assert plain(read(PICTURE.read_text())) == plain([PROMPT, *told(done.stdout)]), (
        "the README's picture is of another demo"
    )
