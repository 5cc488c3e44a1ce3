"""`python -m tests.third_party.install`: what the tests talk to that is not ours.

Node and the independent clients of package.json go into .third_party/; a broker and a load balancer are the system's
own, and are installed where that can be done without asking (as root, on a Debian).


Does nothing when what is there is what package.json and its lock ask for. After changing package.json, renew the lock with
`npm install --package-lock-only --omit-lockfile-registry-resolved`, so that it names no registry.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / ".third_party"

_WANTED = (HERE / "package.json", HERE / "package-lock.json")
_STAMP = INSTALLED / "installed"
_LONGEST = 600
"""Seconds: it is about 340 MB, most of it Node and the inspector."""


def fingerprint() -> str:
    """Of everything that decides what gets installed."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in _WANTED)).hexdigest()


def is_current() -> bool:
    return _STAMP.is_file() and _STAMP.read_text() == fingerprint()


SYSTEM = {"redis-server": "redis-server", "haproxy": "haproxy"}
"""Command -> Debian's package."""


def install_system() -> None:
    """Raises SystemExit with one line when a command is missing and cannot be installed."""
    missing = [package for command, package in SYSTEM.items() if shutil.which(command) is None]
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise SystemExit(f"these have to be installed: {', '.join(missing)}")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        done = subprocess.run(
            [apt, *words], env=quiet, capture_output=True, text=True, timeout=_LONGEST, check=False
        )
        if done.returncode:
            raise SystemExit(
                f"{', '.join(missing)} could not be installed: {done.stderr.strip().splitlines()[-1:]}"
            )


def install() -> None:
    """Bring .third_party/ up to date. Raises SystemExit with one line when npm is missing or fails."""
    if is_current():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is needed to install the witnesses, and is not on the PATH")
    INSTALLED.mkdir(exist_ok=True)
    _STAMP.unlink(missing_ok=True)  # an install that is cut short must not look finished
    for file in _WANTED:
        shutil.copy(file, INSTALLED)
    # Nothing here needs its install scripts, so none is trusted to run.
    quiet = ("--no-audit", "--no-fund", "--no-progress", "--ignore-scripts", "--loglevel=error")
    try:
        subprocess.run(
            (npm, "install", *quiet),
            cwd=INSTALLED,
            stdin=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise SystemExit(f"the witnesses could not be installed: {problem}") from None
    _STAMP.write_text(fingerprint())


if __name__ == "__main__":
    install_system()
    install()
    print(f"witnesses installed in {INSTALLED.name}/", file=sys.stderr)
