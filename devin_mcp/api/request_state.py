"""What is known of one request while it is sent: attempts, and whether it may have arrived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from devin_mcp.api.clock import Deadline
from devin_mcp.api.endpoint import Endpoint
from devin_mcp.api.memory import HeldMemory

ReportProgress = Callable[[str], Awaitable[None]]
"""Receives one sentence whenever a caller has to wait longer than usual."""


@dataclass
class RequestState:
    """State of one request, carried in `request.extensions["state"]` and shared by its attempts."""

    endpoint: Endpoint
    deadline: Deadline
    read_timeout: float
    memory: HeldMemory
    """What the response holds."""
    report: ReportProgress | None = None
    stream: bool = False
    attempt: int = 0
    sent: bool = False
    """True once a byte of the current attempt may have reached the network."""
    may_have_arrived: bool = False
    """True once any attempt may have reached Devin and was not refused (urllib3: "should assume
    that the server began processing it")."""
    caller_gone: bool = False
    """The caller was cancelled: the attempt on the wire is awaited, nothing is sent again."""
    on_closed: Callable[[str | None], None] | None = None
    """For a stream: called when it is closed, with the error's name if it ended early."""

    async def trace(self, step: str, info: Mapping[str, Any]) -> None:
        """Httpcore's trace hook: notes when the request itself, not a proxy's CONNECT, is sent."""
        if step.endswith("send_request_headers.started"):
            request = info.get("request")
            self.sent = self.sent or request is None or request.method != b"CONNECT"
