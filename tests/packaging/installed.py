"""The package as users get it: built from a clean tree and installed by uv."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from devin_mcp import __version__
from tests.e2e.processes import environment

ROOT = Path(__file__).parents[2]
EXTRAS = ("redis", "otel")
START_TIMEOUT = 120.0
"""Seconds for a start that may have to download everything first."""
INSTALL_TIMEOUT = 300.0
SCRIPTS = Path(sys.executable).parent
ENDING = ".exe" if sys.platform == "win32" else ""
RUN_DIRECTORY = "TEST_RUN_DIRECTORY"
"""Environment variable: a directory that all workers of one test run share, made and removed by
tests/conftest.py."""


def run_directory() -> Path:
    return Path(os.environ[RUN_DIRECTORY])


def run_subdirectory(name: str) -> Path:
    """A directory of the run. Its path has a space and a non-ASCII letter, as users' often have."""
    directory = run_directory() / "devin-mcp é" / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def make_once(directory: Path, make: Callable[[Path], None]) -> Path:
    """Fill a directory of the run in the worker that asks first; the others wait for it."""
    ready, failed = (
        directory.with_name(f"{directory.name}.{state}") for state in ("ready", "failed")
    )
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        deadline = time.monotonic() + INSTALL_TIMEOUT
        while not ready.exists():
            assert not failed.exists(), f"{directory} could not be made: see the first failure"
            assert time.monotonic() < deadline, f"{directory} was not ready in time"
            time.sleep(0.05)
        return directory
    try:
        make(directory)
    except BaseException:
        failed.touch()
        raise
    ready.touch()
    return directory


def distributions() -> Path:
    """The directory with the wheel and the sdist (the wheel is made from the sdist)."""
    return make_once(run_subdirectory("built") / "dist", _build)


def copy_tracked_files(tree: Path) -> None:
    """The files of the repository as they are now, without those that git ignores."""
    tracked = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in run(*tracked, cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)


def _build(dist: Path) -> None:
    tree = run_subdirectory("source")
    copy_tracked_files(tree)
    cache = tree / "devin_mcp" / "__pycache__"
    cache.mkdir()
    (cache / "cli.cpython-311.pyc").write_bytes(b"must not be packaged")
    run(str(SCRIPTS / f"uv{ENDING}"), "build", "--quiet", str(tree), "--out-dir", str(dist))


def wheel() -> Path:
    (file,) = distributions().glob("*.whl")
    return file


def this_version() -> Path:
    """Constraints that keep uv from taking another devin-mcp from an index."""
    file = run_directory() / "constraints.txt"  # no space in its path: uv splits the variable
    file.write_text(f"devin-mcp=={__version__}\n")
    return file


def uv_environment(**variables: str) -> dict[str, str]:
    """Environment variables with which `uvx devin-mcp` is the package of this tree."""
    ours = {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}",
        "UV_FIND_LINKS": str(distributions()),
        "UV_CACHE_DIR": str(run_subdirectory("cache")),
        "UV_CONSTRAINT": str(this_version()),
        "UV_SYSTEM_CERTS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON": sys.executable,
    }
    return environment(**ours, **variables)


def run(
    *command: str, env: dict[str, str] | None = None, cwd: str | Path = "/", both: bool = False
) -> str:
    """What it prints on stdout, with `both` also on stderr.

    Fails with the output if the command fails.
    """
    process = subprocess.run(
        command,
        env=env or environment(),
        cwd=cwd,
        capture_output=True,
        timeout=INSTALL_TIMEOUT,
        check=False,
    )
    output = (process.stdout + process.stderr).decode(errors="replace")
    assert process.returncode == 0, f"{command}\n{output[-4000:]}"
    return output if both else process.stdout.decode()


def install_wheel(python: str = sys.executable, resolution: str = "highest") -> Path:
    """The directory of commands of an environment with the wheel and all extras, without a lock.

    With the resolution "lowest-direct" every library is the lowest that pyproject.toml allows.
    """
    name = f"{re.sub(r'[^0-9A-Za-z.]+', '-', python)} {resolution}"
    home = make_once(run_subdirectory("installed") / name, partial(_install, python, resolution))
    return _commands(home)


def _install(python: str, resolution: str, home: Path) -> None:
    env = uv_environment() | {"UV_PYTHON": python}
    run("uv", "venv", "--quiet", str(home / "env"), env=env)
    install = (
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(_commands(home) / f"python{ENDING}"),
    )
    if resolution != "highest":  # for uv only the requirements on its command line are direct
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = project["optional-dependencies"]
        direct = [*project["dependencies"], *(name for extra in EXTRAS for name in extras[extra])]
        run(*install, "--resolution", resolution, *direct, env=env)
    run(*install, f"{wheel()}[{','.join(EXTRAS)}]", env=env)


def _commands(home: Path) -> Path:
    return home / "env" / ("Scripts" if sys.platform == "win32" else "bin")


def interpreters() -> dict[str, str]:
    """Version such as 3.12 -> interpreter, for all allowed versions installed on this machine."""
    pythons = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for minor in range(11, 30):
        name = f"3.{minor}"
        candidates = sorted(
            Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
                f"versions/{name}.*/bin/python"
            )
        )
        for candidate in (shutil.which(f"python{name}"), *map(str, candidates)):
            if candidate and name not in pythons and (real := _behind(candidate, name)):
                pythons[name] = real
    return dict(sorted(pythons.items(), key=lambda item: int(item[0].split(".")[1])))


def _behind(python: str, name: str) -> str | None:
    """The real interpreter behind a command such as a pyenv shim; None if there is none."""
    code = (
        "import json, sys; "
        "print(json.dumps(['.'.join(map(str, sys.version_info[:2])), sys.executable]))"
    )
    try:
        process = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version, path = json.loads(process.stdout)
    return str(path) if version == name else None


async def listed_tools(
    command: str, arguments: Sequence[str] = (), *, env: Mapping[str, str], cwd: str | Path = "/"
) -> set[str]:
    """Names of the tools that a client gets from the server that it starts with this command."""
    server = StdioServerParameters(command=command, args=list(arguments), env=dict(env), cwd=cwd)
    with anyio.fail_after(START_TIMEOUT):
        async with Client(stdio_client(server)) as client:
            return {tool.name for tool in (await client.list_tools()).tools}
