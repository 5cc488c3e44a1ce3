"""Dockerfile and compose file: accepted by linters, and the image built and run by podman."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from dockerfile_parse import DockerfileParser
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from devin_mcp.cli.container_health import health_url
from tests.conftest import ToolClient
from tests.containers import HARDENED, IMAGE, Engine, engine
from tests.e2e.cluster import free_port
from tests.http_client import connect_over_http
from tests.manifests.published import REGISTRY_NAME
from tests.manifests.test_kubernetes import CONTAINER
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
    install = next(value for name, value in INSTRUCTIONS if name == "RUN")
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install, "nothing that is installed runs a build of its own"


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
def podman() -> Engine:
    return engine()


def ready_status(port: int) -> int:
    """The status of /readyz."""
    return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code


async def test_container_takes_an_upload_is_healthy_and_stops_in_time(podman: Engine) -> None:
    """As the deployment runs it: read-only, without capabilities, with the limit of memory."""
    port = free_port()
    memory = CONTAINER["resources"]["limits"]["memory"].removesuffix("i").lower()
    options = (f"--memory={memory}", f"--env=DEVIN_MCP_PORT={port}")
    arguments = [*json.loads(of_last_stage("CMD")), "--sandbox"]
    with podman.start(*arguments, options=options) as container:
        podman.wait_for_log(container, "serving")
        assert ready_status(port) == 200
        podman.run("healthcheck", "run", container)
        url, key = f"http://127.0.0.1:{port}/mcp", {"X-Devin-Api-Key": "cog_sandbox"}
        async with connect_over_http(url, key) as client:
            content = "x" * (3 * 1024 * 1024)
            await client.ok("upload_attachment", name="a.txt", content=content)
        assert podman.inspect(container, "HostConfig.Memory") == str(704 * 1024 * 1024)
        assert podman.inspect(container, "Config.User") == "65532:65532"
        started = time.monotonic()
        podman.run("stop", "--time=30", container)
        assert time.monotonic() - started < 11
        assert podman.inspect(container, "State.ExitCode") == "0"
        assert '"why": "SIGTERM"' in podman.log(container)


def test_container_that_does_not_answer_is_unhealthy(podman: Engine) -> None:
    with podman.start("http", "--port", "1") as container:
        assert podman.try_run("healthcheck", "run", container).returncode != 0


def test_container_above_its_limit_of_memory_is_killed(podman: Engine) -> None:
    """So the limit of the test above is in force."""
    with podman.start("http", "--port", str(free_port()), options=["--memory=24m"]) as container:
        podman.run("wait", container)
        assert podman.inspect(container, "State.ExitCode") == "137"


async def test_container_serves_stdio_and_is_healthy(podman: Engine) -> None:
    name = f"devin-mcp-{uuid4().hex}"
    words = ("run", "-i", "--rm", f"--name={name}", *HARDENED, IMAGE, "stdio", "--sandbox")
    command, *arguments = podman.command(*words)
    server = StdioServerParameters(command=command, args=arguments, env=podman.environment)
    async with Client(stdio_client(server)) as sdk:
        session = await ToolClient(sdk).ok("create_session", prompt="sandbox:quick")
        podman.run("healthcheck", "run", name)
    assert session["session_id"].startswith("devin-")


def test_sigterm_ends_a_container_that_is_still_starting(podman: Engine) -> None:
    """The kernel drops a signal that process 1 does not handle."""
    with podman.start("http", "--port", str(free_port())) as container:
        status = Path(f"/proc/{podman.inspect(container, 'State.Pid')}/status")
        while not caught_signals(status) & 1 << signal.SIGTERM - 1:
            time.sleep(0.001)
        started = time.monotonic()
        podman.run("stop", "--time=30", container)
        assert time.monotonic() - started < 11
        assert podman.inspect(container, "State.ExitCode") == "0"
        assert podman.log(container) == "", "it had not begun to serve"


def caught_signals(status: Path) -> int:
    """The mask of the signals that a process handles."""
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["SigCgt"], 16)


@pytest.mark.parametrize(
    ("command_line", "variable", "address"),
    [
        ("python -m devin_mcp http --host 0.0.0.0", None, "127.0.0.1:8000"),
        ("/sbin/docker-init -- python -m devin_mcp http --port 9000", "8001", "127.0.0.1:9000"),
        ("/usr/bin/python /usr/bin/devin-mcp http --port=9000", None, "127.0.0.1:9000"),
        ("python -m devin_mcp http --host ::", "8001", "[::1]:8001"),
        ("python -m devin_mcp http --host 10.0.0.1", None, "10.0.0.1:8000"),
        ("python -m devin_mcp stdio", "8001", None),
        ("python -m devin_mcp", None, None),
        ("python -m devin_mcp sandbox --port 8001", None, None),
    ],
)
def test_health_check_asks_where_the_server_listens(
    monkeypatch: pytest.MonkeyPatch, command_line: str, variable: str | None, address: str | None
) -> None:
    monkeypatch.delenv("DEVIN_MCP_PORT", raising=False)
    if variable is not None:
        monkeypatch.setenv("DEVIN_MCP_PORT", variable)
    url = None if address is None else f"http://{address}/healthz"
    assert health_url(command_line.split()) == url
