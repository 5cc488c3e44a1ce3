"""The client of Devin's API: what all calls of the process share."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from devin_mcp.api.clock import Clock, RealClock
from devin_mcp.api.connections import ConnectionPools, app_url, base_url
from devin_mcp.api.key_checks import KeyChecks
from devin_mcp.api.memory import MemoryBudget
from devin_mcp.api.organization import Organizations
from devin_mcp.api.pending_writes import PendingWrites
from devin_mcp.errors import BadKey
from devin_mcp.observability.redaction import redactor
from devin_mcp.settings import CALL_DEADLINE_SECONDS, Settings
from devin_mcp.settings.parsers import LOOPBACK

T = TypeVar("T", bound=BaseModel)
R = TypeVar("R")

SHUTDOWN_GRACE_SECONDS = 10.0
"""Time for requests on the wire when the server stops."""


class DevinClient:
    """Connections to Devin and the writes in progress; one per process."""

    def __init__(
        self,
        settings: Settings,
        *,
        app: Any = None,
        clock: Clock | None = None,
        memory: MemoryBudget | None = None,
        call_deadline: float = CALL_DEADLINE_SECONDS,
        key_advice: str = BadKey.advice_by_default,
    ) -> None:
        """`app` is an ASGI application to call instead of the network (the sandbox).

        `memory` bounds what all calls hold; by default nothing does. `key_advice` is shown to a
        caller without a usable key: where to create one and where to set it.
        """
        self.clock: Clock = clock or RealClock()
        self.memory = memory or MemoryBudget()
        self.pools = ConnectionPools(settings, app, self.clock)
        self.key_checks = KeyChecks(enabled=settings.auth == "caller-key")
        self.pending_writes = PendingWrites()
        self.organizations = Organizations(self.clock)
        self.base_url = base_url(settings)
        self.app_url = app_url(settings)
        self.read_timeout = settings.timeout
        self.call_deadline = call_deadline
        self.key_advice = key_advice
        self.is_local = app is not None or urlsplit(self.base_url).hostname in LOOPBACK
        """True if no request leaves the machine, so plain http is acceptable."""
        redactor.hide([settings.api_key])

    async def aclose(self, grace: float = SHUTDOWN_GRACE_SECONDS) -> None:
        """Let writes on the wire end within `grace` seconds, then close the connections."""
        await self.pending_writes.aclose(grace)
        await self.pools.aclose()
