"""Servers and clients as processes: bounded in time, ended in any case, and blind to this machine's DEVIN_ variables."""

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
from typing import IO

from tests.third_party.install import INSTALLED, is_current

ROOT = INSTALLED.parent
PACKAGES = INSTALLED / "node_modules"
DEVIN_MCP = shutil.which("devin-mcp", path=sysconfig.get_path("scripts")) or "devin-mcp"

_OLDEST_NODE = (22, 19)
"""The inspector's requirement; the conformance suite crashes on Node 20."""
_START = 30.0
_STOP = 15.0


@dataclass(frozen=True)
class Finished:
    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"status {self.status}\n{self.out[-4000:]}\n{self.err[-2000:]}"


def environment() -> dict[str, str]:
    """Ours without what would configure the server under test, or change the Node that drives it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("DEVIN_", "NODE_", "MCP_"))
    }


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    timeout: float,
    script: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run to the end with `script`, or nothing, as its input; `env` is added to the environment.

    Raises subprocess.TimeoutExpired when that takes longer than `timeout` seconds.
    """
    with (
        Path(script or os.devnull).open("rb") as given,
        _process(command, cwd, given, subprocess.PIPE, env or {}) as one,
    ):
        out, err = one.communicate(timeout=timeout)
    return Finished(one.returncode, out.decode(), err.decode())


@contextmanager
def serving(command: Sequence[str], log: Path) -> Iterator[str]:
    """The address of an HTTP server that runs as long as the block; what it says goes to `log`."""
    with (
        Path(os.devnull).open("rb") as nothing,
        log.open("wb") as said,
        _process(command, ROOT, nothing, said, {}) as one,
    ):
        latest = time.monotonic() + _START
        while (url := _announced(log)) is None:
            if one.poll() is not None or time.monotonic() > latest:
                raise AssertionError(f"{command} does not serve:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield url


@lru_cache(maxsize=1)
def node() -> str:
    """The Node to run the witnesses with. Raises LookupError with the reason when they cannot be run."""
    if not is_current():
        raise LookupError(
            "the witnesses are missing or out of date: python -m tests.third_party.install"
        )
    found = shutil.which("node", path=PACKAGES / ".bin") or shutil.which("node")
    if found is None:
        raise LookupError(
            "the witnesses brought no Node for this platform, and none is on the PATH"
        )
    try:
        version = run([found, "--version"], cwd=INSTALLED, timeout=20).out.strip()
        numbers = tuple(int(part) for part in version.removeprefix("v").split("."))
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        raise LookupError(f"{found} cannot be run: {problem}") from None
    if numbers < _OLDEST_NODE:
        raise LookupError(
            f"{found} is {version}, the witnesses need {_OLDEST_NODE[0]}.{_OLDEST_NODE[1]}"
        )
    return found


def _announced(log: Path) -> str | None:
    """The url of the `serving` event, once its line is whole."""
    for line in log.read_text().splitlines(keepends=True):
        if '"serving"' in line and line.endswith("\n"):
            return str(json.loads(line)["url"])
    return None


@contextmanager
def _process(
    command: Sequence[str],
    cwd: Path,
    given: IO[bytes],
    said: IO[bytes] | int,
    env: Mapping[str, str],
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone afterwards, with everything it started: clients start servers of their own."""
    whole = {**environment(), **env}
    one = subprocess.Popen(
        command, cwd=cwd, env=whole, stdin=given, stdout=said, stderr=said, start_new_session=True
    )
    try:
        yield one
    finally:
        _end(one)


def _end(one: subprocess.Popen[bytes]) -> None:
    try:
        one.terminate()
        one.wait(_STOP)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if sys.platform != "win32":
            with suppress(ProcessLookupError):
                os.killpg(
                    one.pid, signal.SIGKILL
                )  # the group outlives its leader while a grandchild is left
        one.kill()
        one.wait()
        for pipe in (one.stdout, one.stderr):
            if pipe is not None:
                pipe.close()
