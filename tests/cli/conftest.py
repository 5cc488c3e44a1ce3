"""Fixtures for the tests of the command line."""

from __future__ import annotations

import pytest

from tests.cli.command_line import CommandLine
from tests.cli.doctor_runner import Doctor


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """`cli("tools", "--json")` runs that command in this process."""
    return CommandLine(capsys)


@pytest.fixture
def doctor(cli: CommandLine) -> Doctor:
    return Doctor(cli)
