"""The unit of manifests/systemd/ as systemd reads it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT


@dataclass(frozen=True)
class Unit:
    """A template unit: `%i` is the port."""

    file: Path

    @property
    def settings(self) -> list[tuple[str, str]]:
        lines = (line.partition("=") for line in self.file.read_text().splitlines())
        return [(name, value) for name, sign, value in lines if sign and not name.startswith("#")]

    def commands(self, name: str, port: int) -> list[str]:
        """The words of the only command with this name."""
        (command,) = (value for setting, value in self.settings if setting == name)
        return shlex.split(command.replace("%i", str(port)))

    @property
    def environment(self) -> dict[str, str]:
        """The defaults, which an EnvironmentFile replaces."""
        lines = [value for setting, value in self.settings if setting == "Environment"]
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def value(self, name: str) -> str:
        (value,) = (value for setting, value in self.settings if setting == name)
        return value


UNIT = Unit(ROOT / "manifests" / "systemd" / "devin-mcp@.service")
