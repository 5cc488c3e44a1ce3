"""The Kubernetes manifests: rendered by the real kubectl, accepted by the schemas of Kubernetes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from devin_mcp import __version__
from devin_mcp.settings import SETTINGS
from tests.docs.pages import OPERATING, ROOT, code_blocks
from tests.third_party import processes
from tests.third_party.install import KUBECTL
from tests.third_party.processes import skip_or_fail

CLUSTER = ROOT / "manifests" / "kubernetes"
COMPONENTS = CLUSTER / "components"
OF_THE_OPERATOR = {"ServiceMonitor", "PrometheusRule"}
"""Kinds that Kubernetes has no schema for."""
DEPLOYMENT: dict[str, Any] = yaml.safe_load((CLUSTER / "deployment.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]

Objects = dict[tuple[str, str], dict[str, Any]]
"""Kind and name -> object."""


def render(directory: Path) -> Objects:
    """What `kubectl apply -k` would send, for valid objects only."""
    kubectl = shutil.which("kubectl") or (str(KUBECTL) if KUBECTL.exists() else None)
    if kubectl is None:
        skip_or_fail("there is no kubectl; `python -m tests.third_party.install` installs it")
    process = processes.run([kubectl, "kustomize", str(directory)], cwd=directory, timeout=60)
    assert (process.status, process.err) == (0, ""), str(process)
    objects: Objects = {}
    for item in yaml.safe_load_all(process.out):
        name = re.sub("-[a-z0-9]{10}$", "", item["metadata"]["name"])  # the hash of a ConfigMap
        assert (item["kind"], name) not in objects
        objects[item["kind"], name] = item
        if item["kind"] not in OF_THE_OPERATOR:
            for version in ("1.31", "1.34"):
                kubernetes_validate.validate(item, version, strict=True)
    return objects


@pytest.fixture
def base() -> Objects:
    return render(CLUSTER)


@pytest.fixture
def overlay(tmp_path: Path) -> Objects:
    """The example of the page."""
    (tmp_path / "devin-mcp" / "manifests").mkdir(parents=True)
    shutil.copytree(CLUSTER, tmp_path / "devin-mcp" / "manifests" / "kubernetes")
    (text,) = code_blocks(OPERATING, "yaml")
    (tmp_path / "kustomization.yaml").write_text(text)
    return render(tmp_path)


def render_with(component: str, directory: Path) -> Objects:
    """The base with one component."""
    shutil.copytree(CLUSTER, directory / "kubernetes")
    lines = ["resources: [kubernetes]", f"components: [kubernetes/components/{component}]"]
    (directory / "kustomization.yaml").write_text("\n".join(lines))
    return render(directory)


def egress_ports(objects: Objects) -> set[int]:
    rules = objects["NetworkPolicy", "devin-mcp"]["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_base_has_every_object_of_its_folder_with_the_label(base: Objects) -> None:
    files = [yaml.safe_load(file.read_text()) for file in CLUSTER.glob("*.yaml")]
    kinds = {item["kind"] for item in files} - {"Kustomization"}
    assert {kind for kind, _ in base} == kinds | {"ConfigMap"}
    for (kind, _), item in base.items():
        if kind != "ConfigMap":
            assert item["metadata"]["labels"] == {"app.kubernetes.io/name": "devin-mcp"}


def test_deployment_has_the_probes_ports_and_grace_of_the_server() -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {
        "http": next(setting.default for setting in SETTINGS if setting.name == "port"),
        "metrics": 9090,
    }
    paths = {
        CONTAINER[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {"/readyz", "/healthz"}
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/healthz", (
        "an outage of Devin must not restart the container"
    )
    assert (
        POD["terminationGracePeriodSeconds"]
        > CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"] + 10
    )
    assert CONTAINER["image"] == f"devin-mcp:{__version__}"


@pytest.mark.parametrize("file", ["deployment.yaml", "components/redis/deployment.yaml"])
def test_container_is_unprivileged_and_read_only(file: str) -> None:
    pod = yaml.safe_load((CLUSTER / file).read_text())["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_flags_and_variables_in_the_manifests_exist(base: Objects) -> None:
    settings = [setting for setting in SETTINGS if "http" in setting.commands]
    flags = {setting.flag for setting in settings if setting.flag}
    compose = yaml.safe_load((ROOT / "manifests" / "compose.yaml").read_text())["services"][
        "server"
    ]["command"]
    for words in (CONTAINER["args"], compose):
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= flags
    assert set(base["ConfigMap", "devin-mcp"]["data"]) <= {setting.env for setting in settings}


def test_settings_are_a_generated_map_and_secrets_are_only_referred_to(base: Objects) -> None:
    (container,) = base["Deployment", "devin-mcp"]["spec"]["template"]["spec"]["containers"]
    settings, secret = container["envFrom"]
    assert settings["configMapRef"]["name"] == base["ConfigMap", "devin-mcp"]["metadata"]["name"]
    assert secret == {"secretRef": {"name": "devin-mcp"}}
    assert "env" not in container


def test_service_and_ingress_have_no_affinity_and_no_retries(base: Objects) -> None:
    assert "sessionAffinity" not in base["Service", "devin-mcp"]["spec"]
    notes = base["Ingress", "devin-mcp"]["metadata"]["annotations"]
    assert not [name for name in notes if "affinity" in name]
    assert notes["nginx.ingress.kubernetes.io/proxy-next-upstream"] == "off"


def test_redis_is_reached_by_the_server_and_nobody_else(base: Objects, tmp_path: Path) -> None:
    objects = render_with("redis", tmp_path)
    added = {("Deployment", "devin-mcp-redis"), ("Service", "devin-mcp-redis")}
    assert set(objects) - set(base) == added | {("NetworkPolicy", "devin-mcp-redis")}
    (container,) = objects["Deployment", "devin-mcp"]["spec"]["template"]["spec"]["containers"]
    (variable,) = container["env"]
    assert variable == {"name": "DEVIN_MCP_REDIS_URL", "value": "redis://devin-mcp-redis:6379"}
    assert egress_ports(objects) - egress_ports(base) == {6379}
    policy = objects["NetworkPolicy", "devin-mcp-redis"]["spec"]
    pods = objects["Deployment", "devin-mcp-redis"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == pods
    assert objects["Service", "devin-mcp-redis"]["spec"]["selector"] == pods
    (rule,) = policy["ingress"]
    servers = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    assert rule["from"] == [{"podSelector": {"matchLabels": servers}}]
    assert policy.get("egress", []) == []


def test_monitor_selects_the_port_and_the_job_of_the_alerts(tmp_path: Path) -> None:
    objects = render_with("monitoring", tmp_path)
    service, monitor = objects["Service", "devin-mcp"], objects["ServiceMonitor", "devin-mcp"]
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["spec"]["jobLabel"]] == "devin-mcp"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    alerts = yaml.safe_load((ROOT / "manifests" / "prometheus" / "alerts.yml").read_text())
    assert objects["PrometheusRule", "devin-mcp"]["spec"] == alerts


def test_autoscaler_of_calls_replaces_the_processor_time(base: Objects, tmp_path: Path) -> None:
    scaler = ("HorizontalPodAutoscaler", "devin-mcp")
    (own,) = base[scaler]["spec"]["metrics"]
    (other,) = render_with("calls-autoscaler", tmp_path)[scaler]["spec"]["metrics"]
    assert (own["resource"]["name"], other["pods"]["metric"]["name"]) == (
        "cpu",
        "devin_mcp_calls_in_flight",
    )


def test_example_of_the_page_changes_what_it_says(overlay: Objects) -> None:
    settings = overlay["ConfigMap", "devin-mcp"]["data"]
    assert settings["DEVIN_MCP_AUTH"] == "oauth"
    assert settings["DEVIN_MCP_PUBLIC_URL"] == "https://mcp.corp.example/mcp"
    (container,) = overlay["Deployment", "devin-mcp"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.com/devin-mcp:{__version__}"
    assert "mcp.example.com" not in str(overlay)
    assert {443, 3128, 6379} <= egress_ports(overlay)
    kinds = {kind for kind, _ in overlay}
    assert kinds >= OF_THE_OPERATOR
