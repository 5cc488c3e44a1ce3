"""Lint and types at their strictest, as tests, so that one line runs every gate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    "gate",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        # What is POSIX only is not there on Windows, and its own checker knows it. It has a cache of its own beside the other.
        ["mypy", "--platform", "win32", "--cache-dir", ".mypy_cache/windows", "-p", "devin_mcp"],
    ],
    ids=["lint", "format", "types", "types-windows"],
)
def test_the_gate_is_clean(gate: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *gate],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
