"""Every command whose output nobody reads, is closed, or cannot be written."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from devin_mcp.cli.command_line import COMMANDS
from tests.clock import HANG_SECONDS
from tests.e2e.processes import COMMAND, environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no shell to close streams")

SERVERS = {"stdio", "http", "sandbox"}
"""They print nothing: tests/e2e has their streams."""
PRINTING: dict[str, tuple[str, ...]] = {
    "demo": (),
    "tools": ("--json",),
    "config": ("claude-code",),
    "doctor": ("--sandbox",),
}
"""Command -> flags with which it needs no network."""
LINES = [["--help"], ["--version"], *([command, *flags] for command, flags in PRINTING.items())]
QUICK = [["--help"], ["tools", "--json"], ["config"]]


async def run(shell: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run `devin-mcp` as `"$@"` of a shell line, whose reader of stdout has exited. Returns the
    status and stderr.
    """
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", shell, "sh", *COMMAND, *arguments),
            stdout=write_end,
            stderr=asyncio.subprocess.PIPE,
            env=environment(**variables),
        )
    finally:
        os.close(write_end)
    async with asyncio.timeout(HANG_SECONDS):
        _, stderr = await process.communicate()
    return process.returncode or 0, stderr.decode()


def test_every_command_is_a_server_or_prints() -> None:
    assert set(COMMANDS) == SERVERS | set(PRINTING)


async def test_command_whose_reader_has_exited_ends_quietly() -> None:
    lines = [*LINES, *([server, "--help"] for server in SERVERS)]
    ends = await asyncio.gather(
        *(run('exec "$@"', *line, PYTHONUNBUFFERED="") for line in lines),
        *(run('exec "$@"', *line, PYTHONUNBUFFERED="1") for line in QUICK),
    )
    for line, (status, stderr) in zip([*lines, *QUICK], ends, strict=True):
        assert (line, status) == (line, 0), stderr
        assert "Error" not in stderr
        assert stderr == "" or line[0] == "config", "only config prints hints there"


async def test_command_without_stdout_prints_nowhere() -> None:
    """The descriptor may not go to a file or socket that the command opens."""
    ends = await asyncio.gather(*(run('exec "$@" >&-', *line) for line in QUICK))
    for line, (status, stderr) in zip(QUICK, ends, strict=True):
        assert (line, status) == (line, 0), stderr
        assert "Traceback" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
async def test_output_that_cannot_be_written_is_one_line_and_status_1() -> None:
    ends = await asyncio.gather(
        *(run('exec "$@" >/dev/full', *line, PYTHONUNBUFFERED="") for line in QUICK)
    )
    sentence = "devin-mcp: standard output cannot be written: No space left on device\n"
    assert ends == [(1, sentence)] * len(QUICK)


async def test_error_that_nobody_can_read_keeps_its_status() -> None:
    closings = ("2>&-", "2>&1")
    ends = await asyncio.gather(*(run(f'exec "$@" {how}', "--max-acu", "x") for how in closings))
    assert ends == [(2, "")] * len(closings)
