"""manifests/systemd/: systemd accepts the unit, and what it says of the server holds.

tests/e2e/test_nginx.py carries out its commands: a rolling restart of two instances.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from devin_mcp.server.http.serve import GRACE_SECONDS
from devin_mcp.settings import SETTINGS
from tests.e2e.cluster import system_command
from tests.manifests.test_kubernetes import CONTAINER
from tests.systemd import UNIT

PROGRAM = "/opt/devin-mcp/bin/devin-mcp"
MAX_EXPOSURE = 2.0
"""Of 10, as `systemd-analyze security` computes it."""


def test_systemd_accepts_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    text = UNIT.file.read_text()
    assert text.count(f"={PROGRAM} ") == 1
    instance = tmp_path / "devin-mcp@8000.service"
    instance.write_text(text.replace(f"={PROGRAM} ", "=/bin/true "))
    analyze = system_command("systemd-analyze")
    verify = [analyze, "verify", "--man=no", str(instance)]
    result = subprocess.run(verify, capture_output=True, text=True, timeout=30, check=True)
    assert result.stderr + result.stdout == ""
    threshold = f"--threshold={MAX_EXPOSURE * 10:.0f}"
    security = [analyze, "security", "--offline=yes", threshold, str(instance)]
    subprocess.run(security, capture_output=True, timeout=30, check=True)


def test_every_setting_but_the_port_can_be_replaced_by_a_file() -> None:
    """A flag would win over the variable of an EnvironmentFile."""
    flags = [word for word in UNIT.commands("ExecStart", 8000) if word.startswith("--")]
    assert flags == ["--port"]
    assert UNIT.environment.keys() <= {setting.env for setting in SETTINGS}


def test_bounds_are_those_of_the_server() -> None:
    assert f"{UNIT.value('MemoryMax')}i" == CONTAINER["resources"]["limits"]["memory"]
    assert int(UNIT.value("TimeoutStopSec")) > GRACE_SECONDS + 5
