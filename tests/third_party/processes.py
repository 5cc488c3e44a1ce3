"""Runs third-party programs and servers, with a timeout and without DEVIN_ variables."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, NoReturn

import pytest

from tests.e2e.processes import environment
from tests.third_party.install import INSTALLED, is_current

ROOT = INSTALLED.parent
PACKAGES = INSTALLED / "node_modules"
DEVIN_MCP = shutil.which("devin-mcp", path=sysconfig.get_path("scripts")) or "devin-mcp"

_OLDEST_NODE = (22, 19)
"""The inspector's requirement; the conformance suite crashes on Node 20."""
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 15.0


def skip_or_fail(reason: str) -> NoReturn:
    """Skip a test that needs a third-party program; with THIRD_PARTY_REQUIRED=1, fail it."""
    if os.environ.get("THIRD_PARTY_REQUIRED") == "1":
        pytest.fail(f"THIRD_PARTY_REQUIRED is set, but {reason}")
    pytest.skip(reason)


@dataclass(frozen=True)
class ProcessResult:
    """Exit status and output of a process that has exited."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"status {self.status}\n{self.out[-4000:]}\n{self.err[-2000:]}"


def node_environment() -> dict[str, str]:
    """environment() without the variables that configure Node or an MCP program."""
    return {
        name: value
        for name, value in environment().items()
        if not name.upper().startswith(("NODE_", "MCP_"))
    }


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    timeout: float,
    script: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> ProcessResult:
    """Run to the end with `script`, or nothing, as its input; `env` is added to the environment.

    Raises subprocess.TimeoutExpired after `timeout` seconds.
    """
    with (
        Path(script or os.devnull).open("rb") as stdin,
        _process(command, cwd, stdin, subprocess.PIPE, env or {}) as process,
    ):
        out, err = process.communicate(timeout=timeout)
    return ProcessResult(process.returncode, out.decode(), err.decode())


@contextmanager
def start_server(command: Sequence[str], log: Path) -> Iterator[str]:
    """The address of an HTTP server that runs as long as the block; its output goes to `log`."""
    with (
        Path(os.devnull).open("rb") as stdin,
        log.open("wb") as output,
        _process(command, ROOT, stdin, output, {}) as process,
    ):
        deadline = time.monotonic() + _START_TIMEOUT
        while (url := _announced(log)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command} does not serve:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield url


@lru_cache(maxsize=1)
def find_node() -> str:
    """The Node that runs the third-party packages.

    Raises LookupError with the reason if they cannot be run.
    """
    if not is_current():
        raise LookupError(
            "the third-party packages are missing or out of date: "
            "python -m tests.third_party.install"
        )
    executable = shutil.which("node", path=PACKAGES / ".bin") or shutil.which("node")
    if executable is None:
        raise LookupError(
            "the third-party packages have no Node for this platform, and none is on the PATH"
        )
    try:
        version = run([executable, "--version"], cwd=INSTALLED, timeout=20).out.strip()
        numbers = tuple(int(part) for part in version.removeprefix("v").split("."))
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        raise LookupError(f"{executable} cannot be run: {problem}") from None
    if numbers < _OLDEST_NODE:
        raise LookupError(
            f"{executable} is {version}, the third-party packages need "
            f"{_OLDEST_NODE[0]}.{_OLDEST_NODE[1]}"
        )
    return executable


def _announced(log: Path) -> str | None:
    """The url of the `serving` event, once its line is complete."""
    for line in log.read_text().splitlines(keepends=True):
        if '"serving"' in line and line.endswith("\n"):
            return str(json.loads(line)["url"])
    return None


@contextmanager
def _process(
    command: Sequence[str],
    cwd: Path,
    stdin: IO[bytes],
    output: IO[bytes] | int,
    env: Mapping[str, str],
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end, with the servers that it started."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**node_environment(), **env},
        stdin=stdin,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if sys.platform != "win32":
            with suppress(ProcessLookupError):
                # The group exists as long as one of its processes runs.
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
