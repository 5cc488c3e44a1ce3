"""The package as its users get it: built in a clean tree, and installed into places of its own by uv."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from devin_mcp import __version__
from tests.e2e.processes import environment

ROOT = Path(__file__).parents[2]
EXTRAS = ("redis", "otel")
LONGEST = 120.0
"""Seconds for a start that may have to fetch everything first."""
SCRIPTS = Path(sys.executable).parent
ENDING = ".exe" if sys.platform == "win32" else ""


@lru_cache
def place(name: str) -> Path:
    """A new directory, gone at the end; where somebody keeps things is not always plain ASCII without spaces."""
    made = Path(tempfile.mkdtemp(prefix="devin-mcp é "))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    made.chmod(0o755)
    (made / name).mkdir()
    return made / name


@lru_cache
def built() -> Path:
    """The directory with the wheel and the sdist (the wheel is made from the sdist)."""
    tree = place("source") / "devin-mcp"
    for name in run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    (tree / "devin_mcp" / "__pycache__").mkdir()
    (tree / "devin_mcp" / "__pycache__" / "cli.cpython-311.pyc").write_bytes(
        b"what a run leaves behind stays out"
    )
    run(
        str(SCRIPTS / f"uv{ENDING}"), "build", "--quiet", str(tree), "--out-dir", str(place("dist"))
    )
    return place("dist")


def wheel() -> Path:
    (found,) = built().glob("*.whl")
    return found


@lru_cache
def this_version() -> Path:
    """Whatever else there may be under the name in an index, it is not what is tested."""
    folder = Path(
        tempfile.mkdtemp()
    )  # in a path without spaces: uv takes several files here, separated by them
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "constraints.txt").write_text(f"devin-mcp=={__version__}\n")
    return folder / "constraints.txt"


def with_uv(**given: str) -> dict[str, str]:
    """An environment in which `uvx devin-mcp` is the package in this tree, and nothing is remembered from other runs."""
    ours = {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}",
        "UV_FIND_LINKS": str(built()),
        "UV_CACHE_DIR": str(place("cache")),
        "UV_CONSTRAINT": str(this_version()),
        "UV_SYSTEM_CERTS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON": sys.executable,
    }
    return environment(**ours, **given)


def run(
    *command: str, env: dict[str, str] | None = None, cwd: str | Path = "/", both: bool = False
) -> str:
    """What it prints, with `both` also on stderr. Fails with what it said when it fails."""
    done = subprocess.run(
        command, env=env or environment(), cwd=cwd, capture_output=True, timeout=300, check=False
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, f"{command}\n{said[-4000:]}"
    return said if both else done.stdout.decode()


def installed(python: str = sys.executable, resolution: str = "highest") -> Path:
    return _installed(python, resolution)


@lru_cache
def _installed(python: str, resolution: str) -> Path:
    """The directory of commands of a new environment with the wheel and all extras, as no lock file says it."""
    home = place(f"{re.sub(r'[^0-9A-Za-z.]+', '-', python)} {resolution}")
    env = with_uv() | {"UV_PYTHON": python}
    run("uv", "venv", "--quiet", str(home / "env"), env=env)
    inside = home / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    into = ("uv", "pip", "install", "--quiet", "--python", str(inside / f"python{ENDING}"))
    if (
        resolution != "highest"
    ):  # to uv only what a project asks for itself is direct, so it is asked for here
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        asked = [
            *project["dependencies"],
            *(one for extra in EXTRAS for one in project["optional-dependencies"][extra]),
        ]
        run(*into, "--resolution", resolution, *asked, env=env)
    run(*into, f"{wheel()}[{','.join(EXTRAS)}]", env=env)
    return inside


def interpreters() -> dict[str, str]:
    """Version such as 3.12 -> its interpreter, of all that are at hand, from the oldest that is allowed."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for minor in range(11, 30):
        name = f"3.{minor}"
        kept = sorted(
            Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
                f"versions/{name}.*/bin/python"
            )
        )
        for candidate in (shutil.which(f"python{name}"), *map(str, kept)):
            if candidate and name not in found and (real := _behind(candidate, name)):
                found[name] = real
    return dict(sorted(found.items(), key=lambda one: int(one[0].split(".")[1])))


def _behind(python: str, name: str) -> str | None:
    """The interpreter that it really is; a shim may be there without one behind it."""
    ask = "import json, sys; print(json.dumps(['.'.join(map(str, sys.version_info[:2])), sys.executable]))"
    try:
        done = subprocess.run(
            [python, "-c", ask], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version, path = json.loads(done.stdout)
    return str(path) if version == name else None


async def tools_of(
    command: str, arguments: Sequence[str] = (), *, env: Mapping[str, str], cwd: str | Path = "/"
) -> int:
    """How many tools a client finds over stdio when it starts the server so."""
    started = StdioServerParameters(command=command, args=list(arguments), env=dict(env), cwd=cwd)
    with anyio.fail_after(LONGEST):
        async with Client(stdio_client(started)) as client:
            return len((await client.list_tools()).tools)
