"""Linter, formatter and type checker as tests, so that one command runs every check.

`.ci/run` fills mypy's caches before, so that these tests take seconds.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import environment

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        # Finds uses of POSIX-only names. With one cache, each run would invalidate the other's.
        ["mypy", "--platform", "win32", "--cache-dir", ".mypy_cache/windows", "-p", "devin_mcp"],
    ],
    ids=["lint", "format", "types", "types-windows"],
)
def test_checker_finds_nothing(command: list[str]) -> None:
    process = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
