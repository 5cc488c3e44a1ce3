"""Environments for whole-process figures: each server with what its users install, and no more."""

from __future__ import annotations

import os
import subprocess
import venv
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".third_party"
SHARED = ("mcp", "httpx", "pydantic", "anyio", "httpcore", "starlette", "uvicorn")
"""Packages of which both servers have the version of this environment."""


def bare_python() -> str:
    """The Python of an environment with mcp and httpx, for the bare server."""
    return _python("bare", [f"{name}=={version(name)}" for name in SHARED])


def own_python() -> str:
    """The Python of an environment with this tree's package, without its extras."""
    pins = [f"{name}=={version(name)}" for name in SHARED]
    python = _python("own", [*pins, str(ROOT)], (ROOT / "pyproject.toml").read_text())
    source = ["--no-deps", "--force-reinstall", str(ROOT)]  # it may have changed
    subprocess.run([python, "-m", "pip", "install", "-q", *source], check=True)
    return python


def _python(name: str, requirements: list[str], project: str = "") -> str:
    """Made once for these requirements, and for this text of a project that is one of them."""
    directory = HOME / name
    python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    installed = directory / "requirements.txt"
    expected = "\n".join([*requirements, project])
    if not installed.exists() or installed.read_text() != expected:
        venv.create(directory, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *requirements], check=True)
        installed.write_text(expected)
    return str(python)
