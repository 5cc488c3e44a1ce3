"""The memory of a process, from the operating system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def peak_mib(process: int) -> float:
    """The most resident memory that the process has had so far."""
    if sys.platform != "linux":
        pytest.skip("only Linux shows the peak of another process")
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024
