"""A real container engine for tests: podman with storage of its own, and a base image made from
Debian packages, for machines that reach no registry of images.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT
from tests.e2e.cluster import system_command
from tests.packaging.installed import make_once, run_directory
from tests.third_party.processes import skip_or_fail

DOCKERFILE = ROOT / "Dockerfile"
IMAGE = "localhost/devin-mcp:test"
CERTIFICATES = "/etc/ssl/certs"
DEBIAN = "trixie"
"""The release whose Python is that of the Dockerfile's base."""
BASE_PACKAGES = "base-files,base-passwd,dash,coreutils,python3,python3-pip"
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""As in manifests/kubernetes and compose.yaml."""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{directory}/images"
runroot = "{directory}/state"
"""
CONTAINERS = """
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "none"
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""
BUILD_TIMEOUT = 300.0


@dataclass(frozen=True)
class Engine:
    """podman, with the image of the Dockerfile."""

    directory: Path

    def command(self, *arguments: str) -> list[str]:
        return [system_command("podman"), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """To run `command` with."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
        }

    def run(self, *arguments: str, timeout: float = 60.0, text: str = "") -> str:
        """Standard output. Raises AssertionError with all that was printed if podman fails."""
        process = self.try_run(*arguments, timeout=timeout, text=text)
        assert process.returncode == 0, f"{arguments}: {process.stdout}\n{process.stderr}"
        return process.stdout.strip()

    def try_run(
        self, *arguments: str, timeout: float = 60.0, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.directory,  # a container that is killed for its memory leaves a file here
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @contextmanager
    def start(self, *arguments: str, options: Sequence[str] = ()) -> Iterator[str]:
        """A container of the image that runs in the background, hardened, on the host's network.

        Yields its id.
        """
        container = self.run("run", "-d", "--network=host", *HARDENED, *options, IMAGE, *arguments)
        try:
            yield container
        finally:
            self.run("rm", "-f", container)

    def wait_for_log(self, container: str, event: str) -> str:
        """The log up to now, once it has the event."""
        deadline = time.monotonic() + 30
        while f'"event": "{event}"' not in (log := self.log(container)):
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
        return log

    def log(self, container: str) -> str:
        return self.try_run("logs", container).stderr

    def inspect(self, container: str, field: str) -> str:
        return self.run("inspect", container, "--format", f"{{{{.{field}}}}}")


def engine() -> Engine:
    """The engine, with the image built. Skips the test where that is not possible."""
    if os.geteuid() != 0:
        skip_or_fail("podman runs here as root only")
    for name in ("podman", "runc", "mmdebstrap"):
        system_command(name)
    return Engine(make_once(run_directory() / "containers", _build))


def unmount_storage(run_directory: Path) -> None:
    """Unmount what podman leaves mounted, so that the directory of the run can be removed."""
    storage = run_directory / "containers" / "images" / "overlay"
    if storage.is_mount():
        subprocess.run(["umount", str(storage)], timeout=30, check=True)


def _build(directory: Path) -> None:
    own = Engine(directory)
    (directory / "storage.conf").write_text(STORAGE.format(directory=directory))
    (directory / "containers.conf").write_text(CONTAINERS)
    match = re.search("^ARG BASE=(.+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert match is not None
    archive = directory / "base.tar"
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=extract",
            f"--include={BASE_PACKAGES}",
            '--extract-hook=ln -s python3 "$1/usr/bin/python"',
            DEBIAN,
            str(archive),
        ],
        timeout=BUILD_TIMEOUT,
        check=True,
    )
    own.run("import", "--quiet", str(archive), f"docker.io/library/{match[1]}")
    archive.unlink()
    own.run(
        *("build", "--format=docker", "--pull=never", "--isolation=chroot", "--network=host"),
        *(f"--volume={CERTIFICATES}:{CERTIFICATES}:ro", f"--tag={IMAGE}", str(ROOT)),
        timeout=BUILD_TIMEOUT,
    )
