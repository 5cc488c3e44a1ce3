"""Dockerfile and compose file: validated, and the image's steps carried out.

Not tested, because it needs a container engine: that the base image has what the steps use, that
layers and labels are right, and that the file system is read-only (here it belongs to another
user).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

from devin_mcp import __version__
from devin_mcp.asgi_server import bind_socket
from tests.e2e.processes import environment
from tests.manifests.published import REGISTRY_NAME
from tests.packaging.installed import make_once, run, run_directory
from tests.third_party import processes
from tests.third_party.processes import skip_or_fail

ROOT = Path(__file__).parents[2]


def test_hadolint_accepts_the_dockerfile() -> None:
    linter = shutil.which(
        "hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if linter is None:
        skip_or_fail("there is no hadolint for this machine")
    process = subprocess.run(
        [linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (process.returncode, process.stdout) == (0, "")


def test_dclint_accepts_the_compose_file() -> None:
    linter = processes.PACKAGES / ".bin" / "dclint"
    if not linter.exists():
        skip_or_fail("the third-party packages are not installed")
    command = [
        processes.find_node(),
        str(linter),
        "--max-warnings",
        "0",
        str(ROOT / "manifests" / "compose.yaml"),
    ]
    process = processes.run(command, cwd=ROOT, timeout=60)
    assert process.status == 0, str(process)


INSTRUCTIONS = [
    (step["instruction"], step["value"])
    for step in DockerfileParser(path=str(ROOT / "Dockerfile")).structure
]


def test_image_has_the_label_with_its_registry_name() -> None:
    assert (
        f'io.modelcontextprotocol.server.name="{REGISTRY_NAME}"'
        in (ROOT / "Dockerfile").read_text()
    )


def of_last_stage(instruction: str) -> str:
    return str([value for name, value in INSTRUCTIONS if name == instruction][-1])


def test_image_runs_without_shell_and_root() -> None:
    last = max(place for place, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM")
    assert not [name for name, _ in INSTRUCTIONS[last:] if name == "RUN"]
    assert of_last_stage("USER") == "65532:65532"
    for instruction in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(of_last_stage(instruction)), list)
    assert json.loads(of_last_stage("HEALTHCHECK").split("CMD", 1)[1])[0] == "python"
    assert "--require-hashes" in next(value for name, value in INSTRUCTIONS if name == "RUN")


def test_lock_file_has_every_dependency_and_no_index_url() -> None:
    import tomllib

    text = (ROOT / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [
        *project["dependencies"],
        *project["optional-dependencies"]["redis"],
        *project["optional-dependencies"]["otel"],
    ]
    names = {re.split(r"[\[<>=; ]", requirement)[0].lower() for requirement in requirements}
    locked = set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))
    assert names <= locked, f"renew requirements.lock: {names - locked}"
    assert "http" not in re.sub(r"^[a-z].*", "", text, flags=re.MULTILINE)


@pytest.fixture(scope="session")
def image() -> Path:
    """The Dockerfile's steps, carried out below a directory in place of the root."""
    return make_once(run_directory() / "image", build_image)


def build_image(tree: Path) -> None:
    tree.chmod(0o755)
    for instruction, value in INSTRUCTIONS:
        words = value.split()
        if instruction == "COPY" and not words[0].startswith("--from"):
            source, target = ROOT / words[0], tree / words[1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        elif instruction == "RUN":
            script = re.sub(r"(?<!\S)/(opt|src)", rf"{tree}/\1", value)
            script = script.replace("python -m", f"{sys.executable} -m")
            run("sh", "-ec", script, cwd=tree)


def variables(tree: Path) -> dict[str, str]:
    pairs = dict(
        part.split("=", 1)
        for name, value in INSTRUCTIONS
        if name == "ENV"
        for part in value.split()
    )
    return {
        name: re.sub(r"/opt", f"{tree}/opt", value)
        for name, value in pairs.items()
        if not name.startswith("PIP_")
    }


def image_user() -> tuple[str, dict[str, Any]]:
    """A Python that the image's user can run, and that user; else this one, as we are."""
    same = f"{sys.version_info.major}.{sys.version_info.minor}"
    as_user: dict[str, Any] = {"user": 65532, "group": 65532, "extra_groups": []}
    for python in (sys.executable, f"/usr/bin/python{same}") if os.geteuid() == 0 else ():
        try:
            subprocess.run([python, "-c", ""], cwd="/", env={}, timeout=20, check=True, **as_user)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python, as_user
    return sys.executable, {}


def test_image_serves_is_healthy_and_stops_in_time(image: Path) -> None:
    listener, address = bind_socket("127.0.0.1", 0)
    listener.close()
    port = address.rsplit(":", 1)[1]
    python, as_user = image_user()
    command = [
        python,
        *json.loads(of_last_stage("ENTRYPOINT"))[1:],
        *json.loads(of_last_stage("CMD")),
    ]
    env = {
        **variables(image),
        "DEVIN_MCP_PORT": port,
        "DEVIN_MCP_LOG_FORMAT": "json",
        "PATH": os.environ["PATH"],
    }
    server = subprocess.Popen(
        command, cwd="/", env=env, stderr=subprocess.PIPE, text=True, **as_user
    )
    try:
        assert server.stderr is not None
        line = json.loads(server.stderr.readline())
        assert (line["event"], line["auth"]) == ("serving", "caller-key")
        check = json.loads(of_last_stage("HEALTHCHECK").split("CMD", 1)[1].replace("8000", port))
        healthy = subprocess.run([sys.executable, *check[1:]], timeout=20, check=False)
        assert healthy.returncode == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as ready:
            assert json.loads(ready.read())["status"] == "ready"
        started = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(15) == 0
        assert time.monotonic() - started < 11
    finally:
        server.kill()
        server.communicate()
    assert not list(image.rglob("*.log"))


def test_image_serves_stdio_with_the_stdio_command(image: Path) -> None:
    command = [sys.executable, *json.loads(of_last_stage("ENTRYPOINT"))[1:], "stdio", "--sandbox"]
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "0"},
        },
    }
    process = subprocess.run(
        command,
        cwd="/",
        env=environment(**variables(image)),
        input=json.dumps(hello) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert (
        json.loads(process.stdout.splitlines()[0])["result"]["serverInfo"]["version"] == __version__
    )
