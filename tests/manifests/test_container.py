"""The image and the manifests: read by real validators, and the image's own steps carried out in a clean tree.

What this does not prove, because it needs a container engine: that the base image has what the steps use, that layers
and labels come out right, and that the file system really is read-only; here it only belongs to somebody else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dockerfile_parse import DockerfileParser

from devin_mcp import __version__
from devin_mcp.asgi_server import bind_socket
from devin_mcp.settings.settings import SETTINGS
from tests.e2e.processes import environment
from tests.manifests.published import REGISTRY_NAME
from tests.third_party import processes

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "manifests" / "kubernetes"
OBJECTS = {
    file.name: yaml.safe_load(file.read_text())
    for file in sorted(CLUSTER.glob("*.yaml"))
    if file.name != "kustomization.yaml"
}
DEPLOYMENT = OBJECTS["deployment.yaml"]["spec"]["template"]["spec"]
CONTAINER = DEPLOYMENT["containers"][0]


def required(problem: str) -> None:
    if os.environ.get("THIRD_PARTY_REQUIRED") == "1":
        pytest.fail(f"THIRD_PARTY_REQUIRED is set, but {problem}")
    pytest.skip(problem)


@pytest.mark.parametrize("version", ["1.31", "1.34"])
@pytest.mark.parametrize("name", OBJECTS)
def test_the_cluster_takes_every_object(name: str, version: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], version, strict=True)
    assert OBJECTS[name]["metadata"]["labels"] == {"app.kubernetes.io/name": "devin-mcp"}


def test_everything_is_in_the_kustomization() -> None:
    assert set(yaml.safe_load((CLUSTER / "kustomization.yaml").read_text())["resources"]) == set(
        OBJECTS
    )


def test_probes_ports_and_grace_are_the_servers_own() -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {
        "http": next(one.default for one in SETTINGS if one.name == "port"),
        "metrics": 9090,
    }
    paths = {
        CONTAINER[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {"/readyz", "/healthz"}
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/healthz", (
        "trouble with Devin must restart nobody"
    )
    assert (
        DEPLOYMENT["terminationGracePeriodSeconds"]
        > CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"] + 10
    )
    assert CONTAINER["image"] == f"devin-mcp:{__version__}"


def test_nobody_can_write_or_gain_anything_in_the_container() -> None:
    assert DEPLOYMENT["securityContext"]["runAsNonRoot"] is True
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not [one for one in CONTAINER.get("env", []) if "value" in one], (
        "what is secret is only referred to"
    )
    assert CONTAINER["envFrom"] == [{"secretRef": {"name": "devin-mcp"}}]


def test_the_servers_flags_in_the_manifests_exist() -> None:
    known = {one.flag for one in SETTINGS if one.flag and "http" in one.commands}
    compose = yaml.safe_load((ROOT / "manifests" / "compose.yaml").read_text())["services"][
        "server"
    ]["command"]
    for words in (CONTAINER["args"], compose):
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= known


def test_no_session_sticks_and_no_request_is_sent_twice() -> None:
    assert "sessionAffinity" not in OBJECTS["service.yaml"]["spec"]
    notes = OBJECTS["ingress.yaml"]["metadata"]["annotations"]
    assert not [name for name in notes if "affinity" in name]
    assert notes["nginx.ingress.kubernetes.io/proxy-next-upstream"] == "off"


def test_a_linter_has_nothing_against_the_dockerfile() -> None:
    linter = shutil.which(
        "hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if linter is None:
        required("there is no hadolint for this machine")
    assert linter is not None
    done = subprocess.run(
        [linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_linter_has_nothing_against_the_compose_file() -> None:
    linter = processes.PACKAGES / ".bin" / "dclint"
    if not linter.exists():
        required("the witnesses are not installed")
    command = [
        processes.node(),
        str(linter),
        "--max-warnings",
        "0",
        str(ROOT / "manifests" / "compose.yaml"),
    ]
    done = processes.run(command, cwd=ROOT, timeout=60)
    assert done.status == 0, str(done)


LINES = [
    (one["instruction"], one["value"])
    for one in DockerfileParser(path=str(ROOT / "Dockerfile")).structure
]


def test_the_registry_finds_whose_image_it_is() -> None:
    assert (
        f'io.modelcontextprotocol.server.name="{REGISTRY_NAME}"'
        in (ROOT / "Dockerfile").read_text()
    )


def of_last_stage(instruction: str) -> str:
    return str([value for name, value in LINES if name == instruction][-1])


def test_the_image_needs_no_shell_and_no_root_to_run() -> None:
    last = max(place for place, (name, _) in enumerate(LINES) if name == "FROM")
    assert not [name for name, _ in LINES[last:] if name == "RUN"]
    assert of_last_stage("USER") == "65532:65532"
    for instruction in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(of_last_stage(instruction)), list)
    assert json.loads(of_last_stage("HEALTHCHECK").split("CMD", 1)[1])[0] == "python"
    assert "--require-hashes" in next(value for name, value in LINES if name == "RUN")


def test_the_lock_names_what_the_project_asks_for_and_no_place() -> None:
    import tomllib

    text = (ROOT / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        *project["optional-dependencies"]["redis"],
        *project["optional-dependencies"]["otel"],
    ]
    names = {re.split(r"[\[<>=; ]", one)[0].lower() for one in asked}
    locked = set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))
    assert names <= locked, f"renew requirements.lock: {names - locked}"
    assert "http" not in re.sub(r"^[a-z].*", "", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """The Dockerfile's steps, carried out below a directory of its own in place of the root."""
    tree = Path(tempfile.mkdtemp(prefix="image-"))
    tree.chmod(0o755)
    for instruction, value in LINES:
        words = value.split()
        if instruction == "COPY" and not words[0].startswith("--from"):
            source, target = ROOT / words[0], tree / words[1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        elif instruction == "RUN":
            script = re.sub(r"(?<!\S)/(opt|src)", rf"{tree}/\1", value).replace(
                "python -m", f"{sys.executable} -m"
            )
            done = subprocess.run(
                ["sh", "-ec", script],
                cwd=tree,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-2000:]
    yield tree
    shutil.rmtree(tree)


def variables(tree: Path) -> dict[str, str]:
    pairs = dict(
        part.split("=", 1) for name, value in LINES if name == "ENV" for part in value.split()
    )
    return {
        name: re.sub(r"/opt", f"{tree}/opt", value)
        for name, value in pairs.items()
        if not name.startswith("PIP_")
    }


def nobody() -> tuple[str, dict[str, Any]]:
    """A Python that the image's user can run, and how; where there is none, this one as who we are."""
    same = f"{sys.version_info.major}.{sys.version_info.minor}"
    as_user: dict[str, Any] = {"user": 65532, "group": 65532, "extra_groups": []}
    for python in (sys.executable, f"/usr/bin/python{same}") if os.geteuid() == 0 else ():
        try:
            subprocess.run([python, "-c", ""], cwd="/", env={}, timeout=20, check=True, **as_user)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python, as_user
    return sys.executable, {}


def test_the_image_serves_is_healthy_and_ends_in_time(image: Path) -> None:
    listener, address = bind_socket("127.0.0.1", 0)
    listener.close()
    port = address.rsplit(":", 1)[1]
    python, as_user = nobody()
    command = [
        python,
        *json.loads(of_last_stage("ENTRYPOINT"))[1:],
        *json.loads(of_last_stage("CMD")),
    ]
    given = {
        **variables(image),
        "DEVIN_MCP_PORT": port,
        "DEVIN_MCP_LOG_FORMAT": "json",
        "PATH": os.environ["PATH"],
    }
    server = subprocess.Popen(
        command, cwd="/", env=given, stderr=subprocess.PIPE, text=True, **as_user
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


def test_the_image_speaks_stdio_when_asked(image: Path) -> None:
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
    done = subprocess.run(
        command,
        cwd="/",
        env=environment(**variables(image)),
        input=json.dumps(hello) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["result"]["serverInfo"]["version"] == __version__
