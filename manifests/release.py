"""`python manifests/release.py prepare VERSION`: makes a release, and pushes its tag.

The tag starts .github/workflows/release.yml, which calls `build` and `notes`, and publishes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION_FILE = ROOT / "devin_mcp" / "__init__.py"
CHANGELOG = ROOT / "CHANGELOG.md"
README = ROOT / "README.md"
WITH_VERSION = (
    "SECURITY.md",
    "devin_mcp/__init__.py",
    "docs/operating.md",
    "manifests/kubernetes/deployment.yaml",
)
"""Files that name the version; others are generated from the code."""
GENERATED = ("tests/manifests/test_published.py", "tests/docs/test_generated.py")
NOTE = r"^> \*\*Not released yet\.\*\*.*\n(?:>.*\n)*\n"
"""The paragraph of the README that a first release removes."""


def prepare(version: str, *, push: bool) -> None:
    """Set the version, regenerate, check, commit and tag. Raises SystemExit with one line."""
    current = _current_version()
    if _output("git", "status", "--porcelain"):
        raise SystemExit("there are changes that are not committed")
    if _output("git", "branch", "--show-current") != "main":
        raise SystemExit("a release is made on the branch main")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version) or _numbers(version) < _numbers(current):
        raise SystemExit(f"{version} is no version of the form 1.2.3 that follows {current}")
    heading = f"## {version} (unreleased)"
    if heading not in CHANGELOG.read_text(encoding="utf-8"):
        raise SystemExit(f"CHANGELOG.md has no section {heading!r}")
    for name in WITH_VERSION:
        _replace(ROOT / name, current, version)
    _replace(CHANGELOG, heading, f"## {version} ({datetime.now(UTC).date()})")
    README.write_text(re.sub(NOTE, "", README.read_text(), flags=re.MULTILINE))
    _run(sys.executable, "-m", "pytest", "-q", "--no-cov", *GENERATED, UPDATE_DOCS="1")
    if push:
        _run(".ci/run")
    _run("git", "commit", "--quiet", "--all", "--message", f"Release {version}")
    _run("git", "tag", "--annotate", f"v{version}", "--message", f"devin-mcp {version}")
    if push:
        _run("git", "push", "--atomic", "origin", "main", f"v{version}")


def build(folder: Path, packer: str) -> None:
    """Make the wheel, the sdist, the bundle and the SBOM, and SHA256SUMS of them, in `folder`."""
    version = _current_version()
    folder = folder.resolve()
    _run(sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", str(folder))
    (folder / ".gitignore").unlink(missing_ok=True)  # uv makes it
    distributions = [str(file) for file in folder.iterdir()]
    _run(sys.executable, "-m", "twine", "check", "--strict", *distributions)
    options = ("--packer", packer) if packer else ()
    _run(sys.executable, "manifests/mcpb/build.py", str(folder), *options)
    _make_sbom(folder / f"devin-mcp-{version}.cdx.json", version)
    files = sorted(folder.iterdir())
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def _make_sbom(file: Path, version: str) -> None:
    """CycloneDX, from requirements.lock: what the image contains beside Python."""
    words = ("requirements", "requirements.lock", "--pyproject", "pyproject.toml")
    module = (sys.executable, "-m", "cyclonedx_py")
    _run(*module, *words, "--output-reproducible", "--output-file", str(file))
    bom = json.loads(file.read_text())
    bom["metadata"]["component"]["version"] = version  # it is dynamic in pyproject.toml
    file.write_text(json.dumps(bom, indent=2))


def notes() -> str:
    """The section of the changelog for the current version."""
    version = re.escape(_current_version())
    pattern = rf"^## {version} \(.*\)\n(.*?)(?=^## |\Z)"
    section = re.search(pattern, CHANGELOG.read_text(), re.MULTILINE | re.DOTALL)
    if section is None:
        raise SystemExit("CHANGELOG.md has no section for this version")
    return section[1].strip()


def _current_version() -> str:
    match = re.search(r'^__version__ = "(.+)"$', VERSION_FILE.read_text(), re.MULTILINE)
    if match is None:
        raise SystemExit(f"{VERSION_FILE} has no version")
    return match[1]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    if old not in text:
        raise SystemExit(f"{file.name} does not contain {old!r}")
    file.write_text(text.replace(old, new), encoding="utf-8")


def _run(*command: str, **variables: str) -> None:
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=False)
    if done.returncode:
        raise SystemExit(f"this failed: {' '.join(command)}")


def _output(*command: str) -> str:
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return process.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a release.")
    commands = parser.add_subparsers(dest="command", required=True)
    preparing = commands.add_parser("prepare", help="set the version, check, commit, tag and push")
    preparing.add_argument("version", help="such as 0.2.0; CHANGELOG.md has its section")
    preparing.add_argument("--no-push", action="store_true", help="skip .ci/run and push nothing")
    building = commands.add_parser("build", help="make the files of the release")
    building.add_argument("folder", type=Path)
    building.add_argument("--packer", default="", help="of the bundle, as for mcpb/build.py")
    commands.add_parser("notes", help="print the section of the changelog")
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options.version, push=not options.no_push)
    elif options.command == "build":
        build(options.folder, options.packer)
    else:
        print(notes())


if __name__ == "__main__":
    main()
