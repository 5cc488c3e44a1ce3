"""Runs `devin-mcp doctor` and reads its report."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.command_line import CommandLine
from tests.upstream import KEY

Report = dict[str, Any]


class Doctor:
    """Runs `doctor --json` beside the fake upstream and checks what holds for every report."""

    def __init__(self, cli: CommandLine) -> None:
        self._cli = cli

    async def __call__(self, *arguments: str, **variables: str) -> tuple[int, Report]:
        result = await self._cli.in_thread("doctor", "--json", *arguments, **variables)
        assert KEY not in result.stdout
        assert result.stderr == ""
        return result.status, json.loads(result.stdout)


def verdicts(report: Report) -> dict[str, str]:
    return {row["check"]: row["verdict"] for row in report["checks"]}


def text_of_check(report: Report, check: str) -> str:
    return next(
        f"{row['found']} {row['advice']}" for row in report["checks"] if row["check"] == check
    )
