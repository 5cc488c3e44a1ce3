"""manifests/release.py, carried out in a copy of the repository as far as nothing is published; the
workflow that publishes is valid and audited.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from devin_mcp import __version__
from tests.e2e.processes import environment
from tests.packaging.installed import SCRIPTS, copy_tracked_files, make_once, run, run_directory
from tests.third_party import processes
from tests.third_party.processes import skip_or_fail

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
VERSION = "9.8.7"


def git(tree: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    return run("git", *identity, *arguments, cwd=tree)


def release(tree: Path, *arguments: str) -> str:
    env = {name: value for name, value in environment().items() if not name.startswith("PYTEST_")}
    return run(sys.executable, "manifests/release.py", *arguments, cwd=tree, env=env)


def prepare(tree: Path) -> None:
    copy_tracked_files(tree)
    changelog = tree / "CHANGELOG.md"
    heading = f"## {__version__} (unreleased)"
    changelog.write_text(changelog.read_text().replace(heading, f"## {VERSION} (unreleased)"))
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "config", "user.name", "Test")
    git(tree, "config", "user.email", "test@example.com")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "Everything")
    release(tree, "prepare", VERSION, "--no-push")


@pytest.fixture(scope="session")
def tree() -> Path:
    """A copy of the repository in which a release was prepared."""
    return make_once(run_directory() / "release", prepare)


def test_release_is_a_commit_with_a_tag_and_the_version_everywhere(tree: Path) -> None:
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "describe", "--exact-match").strip() == f"v{VERSION}"
    assert "Not released yet" not in (tree / "README.md").read_text()
    found = subprocess.run(
        [
            "git",
            "grep",
            "--line-number",
            "--fixed-strings",
            __version__,
            "--",
            ":!tests",
            ":!*.lock",
        ],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    others = [line for line in found.splitlines() if "devinai" not in line]
    assert others == [], "files that still have the old version: add them to WITH_VERSION"
    for name in (
        "server.json",
        "mcpb/manifest.json",
        "claude-code-plugin/.claude-plugin/plugin.json",
    ):
        assert json.loads((tree / "manifests" / name).read_text())["version"] == VERSION


def test_files_of_the_release_are_complete_and_have_the_sums(tree: Path, tmp_path: Path) -> None:
    packer = f"{processes.find_node()} {processes.PACKAGES / '.bin' / 'mcpb'}"
    release(tree, "build", str(tmp_path), "--packer", packer)
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert set(sums) == {
        f"devin_mcp-{VERSION}-py3-none-any.whl",
        f"devin_mcp-{VERSION}.tar.gz",
        f"devin-mcp-{VERSION}.mcpb",
        f"devin-mcp-{VERSION}.cdx.json",
    }
    for name, digest in sums.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    bom = json.loads((tmp_path / f"devin-mcp-{VERSION}.cdx.json").read_text())
    described = bom["metadata"]["component"]
    assert (described["name"], described["version"]) == ("devin-mcp", VERSION)
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = {line.split(" ")[0] for line in lock if "==" in line}
    assert {f"{part['name']}=={part['version']}" for part in bom["components"]} == pinned


def test_notes_are_the_section_of_the_changelog(tree: Path) -> None:
    notes = release(tree, "notes")
    assert notes.startswith("The first version")
    assert "## " not in notes.replace("### ", "")


@pytest.mark.parametrize(
    ("version", "spoil", "problem"),
    [
        ("9.9.9", "", "CHANGELOG.md has no section"),
        ("0.0.1", "", "is no version of the form 1.2.3 that follows"),
        ("9.8.8b1", "", "is no version of the form 1.2.3 that follows"),
        ("9.9.9", "LICENSE", "there are changes that are not committed"),
    ],
)
def test_release_that_cannot_be_made_changes_nothing(
    tree: Path, tmp_path: Path, version: str, spoil: str, problem: str
) -> None:
    git(tree, "clone", "--quiet", str(tree), str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    if spoil:
        (clone / spoil).write_text("x")
    before = git(clone, "status", "--porcelain")
    command = [sys.executable, "manifests/release.py", "prepare", version, "--no-push"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert problem in done.stderr
    assert git(clone, "status", "--porcelain") == before


def checker(name: str) -> str:
    path = SCRIPTS / name
    if not path.exists():
        skip_or_fail(f"there is no {name} for this machine")
    return str(path)


def test_workflow_fits_the_schema_and_passes_the_audit() -> None:
    run(checker("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(WORKFLOW))
    run(checker("zizmor"), "--offline", "--no-progress", "--persona=pedantic", str(WORKFLOW))


def test_workflow_has_no_secret_and_calls_what_exists() -> None:
    text = WORKFLOW.read_text()
    assert "secrets." not in text
    jobs = yaml.safe_load(text)["jobs"]
    assert list(jobs) == ["build", "index", "image", "registry", "release"]
    assert [name for name, job in jobs.items() if "environment" not in job] == ["build"]
    for command in ("build dist", "notes"):
        assert f".venv/bin/python manifests/release.py {command}" in text
