"""Third-party clients use the server: the TypeScript client, the inspector, the conformance suite.

`python -m tests.third_party.install` installs them. Without them these tests are skipped; with
THIRD_PARTY_REQUIRED=1 they fail.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.declared import declared_tools
from tests.third_party import conformance, install, processes
from tests.third_party.conformance import Revision
from tests.third_party.inspector import Inspector
from tests.third_party.processes import DEVIN_MCP, PACKAGES

Transport = Literal["stdio", "http"]
Era = Literal["legacy", "modern"]

THIRD_PARTY = Path(conformance.__file__).parent
REVISIONS: dict[Era, Revision] = {"legacy": "2025-11-25", "modern": "2026-07-28"}
TASK_CHECKS = 44
"""Of the suite's scenarios of the tasks extension."""
CLIENT_TIMEOUT = 30.0
"""Seconds for one client; it takes about one."""

each_transport = pytest.mark.parametrize("transport", ["stdio", "http"])
each_era = pytest.mark.parametrize("era", ["legacy", "modern"])
each_revision = pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])


@pytest.fixture(scope="module")
def url(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`devin-mcp http` for all tests of one worker."""
    log = tmp_path_factory.mktemp("production") / "log"
    with processes.start_server(
        [DEVIN_MCP, "http", "--sandbox", "--port", "0", "--log-format", "json"], log
    ) as address:
        yield address


@each_transport
@each_era
def test_typescript_client_calls_reads_and_completes(
    node: str, url: str, transport: Transport, era: Era
) -> None:
    """It validates every result with the tool's output schema and fails if one does not match."""
    server = [url] if transport == "http" else [DEVIN_MCP, "--sandbox"]
    mode = "legacy" if era == "legacy" else "auto"
    command = [node, "--input-type=module", "-", mode, transport, *server]
    process = processes.run(
        command, cwd=PACKAGES.parent, timeout=CLIENT_TIMEOUT, script=THIRD_PARTY / "client.mjs"
    )
    assert process.status == 0, str(process)

    got = json.loads(process.out)
    assert got["revision"] == REVISIONS[era]
    assert got["server"]["name"] == "devin-mcp"
    assert {tool["name"] for tool in got["tools"]} == declared_tools(api="v3")

    created, read = got["created"]["structuredContent"], got["read"]["structuredContent"]
    assert created["phase"] == "starting"
    assert read["session_id"] == created["session_id"]
    assert read["tags"] == ["third-party"]
    for result in (got["created"], got["read"]):
        assert [json.loads(block["text"]) for block in result["content"]] == [
            result["structuredContent"]
        ]

    assert {"devin://playbooks", "devin://knowledge/note-0001"} <= {
        resource["uri"] for resource in got["resources"]
    }
    assert got["note"]["contents"][0]["text"].startswith("# Commit messages")
    assert {"delegate", "upgrade"} <= {prompt["name"] for prompt in got["prompts"]}
    assert (
        got["prompt"]["messages"][1]["content"]["resource"]["uri"]
        == "devin://playbooks/playbook-0002"
    )
    assert got["completion"]["values"] == ["playbook-0002"]

    assert got["refused"]["isError"] is True
    assert "structuredContent" not in got["refused"]
    assert "did you mean session_id?" in got["refused"]["content"][0]["text"]


@pytest.fixture
def inspector(node: str, url: str, transport: Transport, era: Era, tmp_path: Path) -> Inspector:
    return Inspector(node, tmp_path, era, url if transport == "http" else [DEVIN_MCP, "--sandbox"])


def test_fastmcp_waits_as_a_task_and_answers_the_question(url: str, tmp_path: Path) -> None:
    """An independent client of the tasks extension."""
    command = [str(install.PYTHON), str(THIRD_PARTY / "fastmcp_client.py"), url]
    process = processes.run(command, cwd=tmp_path, timeout=2 * CLIENT_TIMEOUT)
    assert process.status == 0, str(process)
    got = json.loads(process.out)
    (question,) = got["questions"]
    assert question.startswith('Devin asks in "Refuse negative prices')
    texts = [message["message"] for message in got["result"]["messages"]]
    assert texts[1] == "Strict, please."
    assert got["result"]["pull_requests"]


@each_transport
@each_era
def test_inspector_accepts_every_schema(inspector: Inspector) -> None:
    """With --strict it reports everything that some host's schema converter cannot read."""
    process = inspector.run("--method", "tools/list", "--strict")
    assert process.status == 0, str(process)
    answer = json.loads(process.out)
    assert {tool["name"] for tool in answer["result"]["tools"]} == declared_tools(api="v3")
    assert "schemaFindings" not in answer


@each_transport
@each_era
def test_inspector_creates_a_session(inspector: Inspector, era: Era) -> None:
    process = inspector.client(
        "devin_create_session", json.dumps({"prompt": "Rename the flag --old to --new"})
    )
    assert process.status == 0, str(process)
    result = json.loads(process.out)["result"]
    assert result["structuredContent"]["session_id"].startswith("devin-")
    assert ("_meta" in result) == (era == "modern"), (
        "only 2026-07-28 stamps results with the server's name"
    )


@pytest.mark.parametrize(("transport", "era"), [("stdio", "legacy"), ("http", "modern")])
def test_inspector_reads_a_listed_resource_and_a_prompt(inspector: Inspector) -> None:
    listed = json.loads(inspector.run("--method", "resources/list").out)["result"]["resources"]
    resource = [item for item in listed if item["uri"].startswith("devin://")][-1]
    read = inspector.run("--method", "resources/read", "--uri", resource["uri"])
    assert read.status == 0, str(read)
    assert json.loads(read.out)["result"]["contents"][0]["text"].startswith(
        f"# {resource['title']}"
    )
    filled = inspector.run(
        "--method", "prompts/get", "--prompt-name", "upgrade", "--prompt-args", "task=t"
    )
    assert filled.status == 0, str(filled)
    assert "playbook-0002" in filled.out


@pytest.mark.parametrize(("transport", "era"), [("stdio", "modern"), ("http", "legacy")])
def test_inspector_exits_with_the_status_of_a_refused_call(inspector: Inspector) -> None:
    process = inspector.client("devin_get_session", json.dumps({"sesion_id": "devin-1"}))
    assert process.status == 5, str(process)
    assert "did you mean session_id?" in process.out


@each_revision
def test_server_fails_only_scenarios_that_need_fixtures(
    node: str, url: str, revision: Revision, tmp_path: Path
) -> None:
    baseline = THIRD_PARTY / f"baseline-production-{revision}.yml"
    verdict = conformance.check(node, url, revision, baseline, tmp_path)
    assert verdict.holds, str(verdict)
    assert verdict.ran >= conformance.required(revision)
    assert conformance.baseline_of(baseline) == verdict.excused, (
        "an entry that nothing failed is out of date"
    )


@pytest.mark.parametrize("scenario", conformance.SKILLS_SCENARIOS)
def test_server_passes_the_scenarios_of_skills(
    node: str, url: str, scenario: str, tmp_path: Path
) -> None:
    process = conformance.run_extension_scenario(node, url, scenario, tmp_path)
    assert process.status == 0, str(process)
    assert "SUCCESS" in process.out
    assert "FAILURE" not in process.out


@each_revision
def test_server_with_fixtures_passes_every_scenario(
    node: str, revision: Revision, tmp_path: Path
) -> None:
    """2025-11-25 runs with protocol sessions, because its fixtures ask the client during a call."""
    command = [sys.executable, "-m", "tests.third_party.fixture_server", "--port", "0"]
    if revision == "2025-11-25":
        command.append("--sessions")
    nothing = tmp_path / "baseline.yml"
    nothing.write_text("server: []\n")
    with processes.start_server(command, tmp_path / "log") as address:
        verdict = conformance.check(node, address, revision, nothing, tmp_path)
    assert verdict.holds, str(verdict)
    assert verdict.ran >= conformance.required(revision)
    assert not verdict.failed, "not all of it is scored, but all of it passes"
    tasks = [count for name, count in verdict.passed.items() if name.startswith("tasks-")]
    assert sum(tasks) == (TASK_CHECKS if revision == "2026-07-28" else 0)
