"""Connections to Devin: one pool per key, with the environment's proxies and certificates."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from devin_mcp import __version__
from devin_mcp.api.clock import Clock
from devin_mcp.api.descriptors import descriptor_limit
from devin_mcp.api.environment_transport import EnvironmentTransport, Network
from devin_mcp.api.fair_slots import FairSlots
from devin_mcp.api.response_body import ACCEPT_ENCODING
from devin_mcp.api.retry import RetryTransport, UpstreamState
from devin_mcp.settings import Settings

KEEP_ALIVE_SECONDS = 15.0
"""An idle connection is closed after this time."""
MAX_IDLE_POOLS = 1000
"""More idle pools are closed, the least recently used first."""
MAX_IDLE_CONNECTIONS = 8
"""Of one caller's key. The server's own key has no such limit."""
MAX_IDLE_READ_CONNECTIONS = 6
"""Of these, for reads: most requests are."""
IDLE_SHARE = 4
"""One in so many of the process's file descriptors may be an idle connection to Devin."""
HEADERS = {
    "accept": "application/json",
    "accept-encoding": ACCEPT_ENCODING,
    "user-agent": f"devin-mcp/{__version__}",
}


def base_url(settings: Settings) -> str:
    """The API's address. The sandbox has a name that cannot be resolved, in case anything tries."""
    return "http://sandbox.invalid" if settings.sandbox else settings.base_url


def app_url(settings: Settings) -> str:
    """The web app's address; empty where it is unknown."""
    if settings.sandbox:
        return "https://sandbox.invalid"
    if settings.app_url:
        return settings.app_url
    return "https://app.devin.ai" if settings.base_url == "https://api.devin.ai" else ""


@dataclass
class _Pool:
    transport: httpx.AsyncBaseTransport
    users: int = 0
    used_at: float = 0.0
    is_refused: bool = False
    """True once Devin has refused the key: its connections are closed at once."""


class ConnectionPools:
    """One pool per key, so that a response can never reach the request of another key.

    Requests are sent by httpx's transports, without its client: that would keep cookies, follow
    redirects and read the environment, all of which is switched off here, and costs a tenth of a
    call.
    """

    def __init__(self, settings: Settings, app: Any, clock: Clock) -> None:
        self._settings = settings
        self._app = app
        self._clock = clock
        self._pools: OrderedDict[str, _Pool] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()
        self._cleanup_scheduled = False
        self._max_idle_pools = max_idle_pools()
        slots = settings.max_upstream_requests
        per_key = max(1, slots // 2) if settings.auth == "caller-key" else slots
        self.upstream = UpstreamState(FairSlots(slots, per_key))

    @asynccontextmanager
    async def transport(self, key_fingerprint: str) -> AsyncIterator[httpx.AsyncBaseTransport]:
        """The key's connections, kept open as long as the block lasts."""
        pool = self._pools.get(key_fingerprint)
        if pool is None:
            pool = self._pools[key_fingerprint] = _Pool(self._new_transport(key_fingerprint))
        pool.users += 1
        try:
            yield pool.transport
        finally:
            pool.users -= 1
            pool.used_at = self._clock.now()
            if self._pools.get(key_fingerprint) is pool:  # False once the server has been closed
                self._pools.move_to_end(key_fingerprint)
                if pool.is_refused and not pool.users:
                    self._close(key_fingerprint)
                if len(self._pools) > self._max_idle_pools:
                    self._close_idle_pools()
                self._schedule_cleanup()

    def refuse(self, key_fingerprint: str) -> None:
        """Close the connections of a key that Devin refused, when the last request has ended."""
        pool = self._pools.get(key_fingerprint)
        if pool is not None and self._settings.auth == "caller-key":
            pool.is_refused = True
            if not pool.users:
                self._close(key_fingerprint)

    async def aclose(self) -> None:
        pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            await pool.transport.aclose()
        await asyncio.gather(*self._closing)

    def _schedule_cleanup(self) -> None:
        """Httpx notices an expired connection only when its pool is used again."""
        if not self._cleanup_scheduled and len(self._pools) > 1:
            self._cleanup_scheduled = True
            asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._cleanup)

    def _cleanup(self) -> None:
        self._cleanup_scheduled = False
        self._close_idle_pools()
        self._schedule_cleanup()

    def _close_idle_pools(self) -> None:
        """Close expired pools and those beyond the maximum; never the last used, nor one in use."""
        expired = self._clock.now() - KEEP_ALIVE_SECONDS
        for key_fingerprint, pool in list(self._pools.items())[:-1]:
            if pool.users:
                continue
            if pool.used_at > expired and len(self._pools) <= self._max_idle_pools:
                break
            self._close(key_fingerprint)

    def _close(self, key_fingerprint: str) -> None:
        pool = self._pools.pop(key_fingerprint)
        task = asyncio.ensure_future(pool.transport.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    @cached_property
    def _network(self) -> Network:
        """Read at the first request: certificates take longer than the rest of the start."""
        return Network.of(self._settings)

    def _new_transport(self, key_fingerprint: str) -> httpx.AsyncBaseTransport:
        if self._app is not None:
            simulated = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            return RetryTransport(simulated, self.upstream, key_fingerprint)
        max_connections = self._settings.max_upstream_requests
        is_callers = self._settings.auth == "caller-key"

        def limits(max_idle: int) -> httpx.Limits:
            return httpx.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_idle if is_callers else max_connections,
                keepalive_expiry=KEEP_ALIVE_SECONDS,
            )

        return EnvironmentTransport(
            self._network,
            limits=limits(MAX_IDLE_CONNECTIONS - MAX_IDLE_READ_CONNECTIONS),
            read_limits=limits(MAX_IDLE_READ_CONNECTIONS),
            clock=self._clock,
            wrap=lambda connection: RetryTransport(connection, self.upstream, key_fingerprint),
        )


def max_idle_pools() -> int:
    """How many callers may keep idle connections, by the process's limit of file descriptors."""
    pools = min(MAX_IDLE_POOLS, descriptor_limit() / IDLE_SHARE / MAX_IDLE_CONNECTIONS)
    return max(1, int(pools))
