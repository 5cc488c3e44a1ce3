"""Runs `devin-mcp` in the test's own process.

main() gets arguments, environment variables and a working directory of its own.
"""

from __future__ import annotations

import gc
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread
import pytest

from devin_mcp.cli.main import main
from devin_mcp.observability import log_config


@dataclass(frozen=True)
class CommandResult:
    """Exit status and output of one command."""

    status: int
    stdout: str
    stderr: str


class CommandLine:
    """Calls main() and captures what it prints; no DEVIN_ variable of the test run reaches it."""

    def __init__(self, capture: pytest.CaptureFixture[str], cwd: Path | None = None) -> None:
        self._capture = capture
        self._cwd = cwd

    def at(self, cwd: Path) -> CommandLine:
        """The same in another working directory."""
        return CommandLine(self._capture, cwd)

    def __call__(self, *arguments: str, **variables: str) -> CommandResult:
        """Run one command. `variables` are added to the environment."""
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("DEVIN_")]:
                patch.delenv(name)
            for name, value in variables.items():
                patch.setenv(name, value)
            if self._cwd is not None:
                patch.chdir(self._cwd)
            self._capture.readouterr()
            try:
                status = _exit_status(arguments)
            finally:
                gc.enable()  # `stdio` turns it off while it loads
                log_config.configure("error", "json", io.StringIO())
            out, err = self._capture.readouterr()
        return CommandResult(status, out, err)

    async def in_thread(self, *arguments: str, **variables: str) -> CommandResult:
        """The same beside a running event loop, for commands that start one of their own."""
        return await anyio.to_thread.run_sync(partial(self, *arguments, **variables))


def _exit_status(arguments: Sequence[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as stop:  # argparse ends --help and --version like this
        return int(stop.code or 0)
