"""A simulated Devin with both APIs in a thread, and MCP servers that use it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TextIO

import uvicorn
from mcp.client.stdio import StdioServerParameters

from devin_mcp.asgi_server import bind_socket
from devin_mcp.keys import SANDBOX_KEYS, DevinApi
from devin_mcp.sandbox import sandbox_app
from devin_mcp.settings.environment import environment_without_settings


@contextmanager
def simulated_devin() -> Iterator[str]:
    """The address of a simulated Devin, which only this machine can reach."""
    listener, address = bind_socket("127.0.0.1", 0)
    config = uvicorn.Config(
        sandbox_app(), ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)

    def serve() -> None:
        # uvicorn's own run() may change the event loops of the whole process.
        asyncio.run(server.serve(sockets=[listener]))

    # It ends with this process, however that ends.
    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@dataclass(frozen=True)
class DemoServer:
    """How the MCP server for one API is started, and where its log is written."""

    api: DevinApi
    address: str
    project: Path
    log: TextIO

    @property
    def command(self) -> StdioServerParameters:
        """The same for both APIs but for the key. A proxy must not get requests to this machine."""
        variables = environment_without_settings().items()
        environment = {
            name: value for name, value in variables if not name.lower().endswith("_proxy")
        }
        return StdioServerParameters(
            command=sys.executable,
            args=["-m", "devin_mcp", "--log-format", "json", "--files-root", str(self.project)],
            env={
                **environment,
                "DEVIN_BASE_URL": self.address,
                "DEVIN_API_KEY": SANDBOX_KEYS[self.api],
            },
        )

    def events(self) -> list[dict[str, Any]]:
        """What the server has logged."""
        self.log.seek(0)
        return [json.loads(line) for line in self.log if line.startswith("{")]
