"""Runs the hosts Claude Code and Gemini CLI."""

from __future__ import annotations

import os
from pathlib import Path

from tests.packaging.installed import run, uv_environment
from tests.third_party.processes import PACKAGES
from tests.upstream import KEY


def host(name: str, home: Path, *arguments: str, cwd: Path | None = None, **variables: str) -> str:
    """The output of a host's command, with `home` as its home and the key in its environment."""
    (binary,) = (
        PACKAGES.glob("@anthropic-ai/claude-code-*/claude*")
        if name == "claude"
        else [PACKAGES / ".bin" / name]
    )
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    env = uv_environment(HOME=str(home), DEVIN_API_KEY=KEY, **quiet, **variables)
    env["PATH"] = f"{PACKAGES / '.bin'}{os.pathsep}{env['PATH']}"
    return run(str(binary), *arguments, env=env, cwd=cwd or home, both=True)
