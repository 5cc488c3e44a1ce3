"""Runs the conformance suite against a server and parses its output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from tests.third_party.processes import PACKAGES, ProcessResult, run

Revision = Literal["2025-11-25", "2026-07-28"]

SKILLS_SCENARIOS = ("sep-2640-skills-enumeration", "sep-2640-skills-manifest")
"""Directories of skills are optional, and this server has none."""

_SUITE = PACKAGES / "@modelcontextprotocol" / "conformance"
_TIMEOUT = 90.0
_SCENARIO = re.compile(r"^([✓✗]) ([\w-]+): (\d+) passed, \d+ failed$", re.MULTILINE)
_EXCUSED = re.compile(r"^  ~ (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """Outcome of a run. `excused` are the baseline's entries that really failed."""

    process: ProcessResult
    passed: Mapping[str, int]
    """Scenario -> its checks that passed."""
    failed: frozenset[str]
    excused: frozenset[str]

    @property
    def ran(self) -> frozenset[str]:
        return frozenset(self.passed)

    @property
    def holds(self) -> bool:
        return self.process.status == 0

    def __str__(self) -> str:
        return self.process.out.partition("=== SUMMARY ===")[2] or str(self.process)


def required(revision: Revision) -> frozenset[str]:
    """The scenarios that a conforming server must pass, fixed by the suite per revision."""
    return _names(_SUITE / "requirements" / f"{revision}.yaml")


def baseline_of(file: Path) -> frozenset[str]:
    return _names(file)


def check(node: str, url: str, revision: Revision, baseline: Path, scratch: Path) -> Verdict:
    """With a baseline, even an empty one, the suite counts warnings as failures."""
    command = [node, str(_SUITE / "dist" / "index.js"), "server", "--url", url]
    command += ["--requirements", revision, "--expected-failures", str(baseline)]
    process = run(command, cwd=scratch, timeout=_TIMEOUT)
    outcomes = _SCENARIO.findall(process.out)
    return Verdict(
        process,
        passed={name: int(count) for _, name, count in outcomes},
        failed=frozenset(name for mark, name, _ in outcomes if mark == "✗"),
        excused=frozenset(_EXCUSED.findall(process.out)),
    )


def run_extension_scenario(node: str, url: str, scenario: str, scratch: Path) -> ProcessResult:
    """A scenario that belongs to an extension, and so to no revision: it has to be named."""
    command = [node, str(_SUITE / "dist" / "index.js"), "server", "--url", url]
    command += ["--scenario", scenario, "--spec-version", "2026-07-28", "--force"]
    return run(command, cwd=scratch, timeout=_TIMEOUT)


def _names(file: Path) -> frozenset[str]:
    return frozenset(yaml.safe_load(file.read_text())["server"])
