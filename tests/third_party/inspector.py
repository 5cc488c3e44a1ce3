"""Runs the MCP inspector's command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.third_party import processes
from tests.third_party.processes import PACKAGES

TIMEOUT = 30.0
"""Seconds for one command; most take one."""


class Inspector:
    """The inspector connected to one server in one era, with a home directory of its own."""

    def __init__(self, node: str, home: Path, era: str, server: str | list[str]) -> None:
        """`server` is a URL or a command."""
        self._home = home
        launcher = (
            PACKAGES
            / "@modelcontextprotocol"
            / "inspector"
            / "clients"
            / "launcher"
            / "build"
            / "index.js"
        )
        self._command = [
            node,
            str(launcher),
            "--cli",
            *self._target(server),
            "--protocol-era",
            era,
            "--format",
            "json",
        ]

    def _target(self, server: str | list[str]) -> list[str]:
        if isinstance(server, str):
            return ["--server-url", server, "--transport", "http"]
        # On its command line the server's flags would count as its own.
        servers = {"mcpServers": {"devin": {"command": server[0], "args": server[1:]}}}
        config = self._home / "servers.json"
        config.write_text(json.dumps(servers))
        return ["--config", str(config), "--server", "devin"]

    def run(self, *arguments: str) -> processes.ProcessResult:
        own = {"HOME": str(self._home), "MCP_INSPECTOR_SECRET_STORE": "memory"}
        return processes.run([*self._command, *arguments], cwd=self._home, timeout=TIMEOUT, env=own)

    def client(self, tool: str, arguments: str) -> processes.ProcessResult:
        """`arguments` is JSON."""
        return self.run(
            "--method", "tools/call", "--tool-name", tool, "--tool-args-json", arguments
        )
