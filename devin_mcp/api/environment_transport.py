"""The transport of all requests: direct, or through the environment's proxy for the URL."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import httpx

from devin_mcp.api.certificates import trust_store
from devin_mcp.api.clock import Clock, RealClock
from devin_mcp.settings import Settings
from devin_mcp.settings.environment import forget_variable

if TYPE_CHECKING:  # read when something is first sent, and a part of each start otherwise
    from devin_mcp.api.proxies import EnvironmentProxies, EnvironmentProxy

DEFAULT_LIMITS = httpx.Limits(
    max_connections=10, max_keepalive_connections=10, keepalive_expiry=5.0
)
Way: TypeAlias = "EnvironmentProxy | Literal['direct', 'read']"
"""How a request is sent: through a proxy, directly, or directly on a connection for reads."""
ROUTE = "route"
"""Key of `request.extensions`: the Route of the request."""


@dataclass(frozen=True)
class Network:
    """What the environment says about connections."""

    proxies: EnvironmentProxies
    certificates: ssl.SSLContext
    ca_bundle_problem: str | None
    """Why the certificates of SSL_CERT_FILE are not among them: the rest of a sentence."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        from devin_mcp.api.proxies import EnvironmentProxies

        return cls(EnvironmentProxies.read(), *trust_store(settings))


@dataclass(frozen=True)
class Route:
    """How one request was sent, for the description of a failure."""

    proxy: EnvironmentProxy | None = None
    ca_bundle_problem: str | None = None


class EnvironmentTransport(httpx.AsyncBaseTransport):
    """Has connections for direct requests, for reads apart from the others, and for each proxy."""

    def __init__(
        self,
        network: Network,
        *,
        limits: httpx.Limits = DEFAULT_LIMITS,
        read_limits: httpx.Limits | None = None,
        clock: Clock | None = None,
        wrap: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport] = lambda inner: inner,
    ) -> None:
        """`limits` are those of each way; with `read_limits`, reads have connections of their own.
        `wrap` is applied to each transport that connects.
        """
        self._network = network
        self._limits = limits
        self._read_limits = read_limits
        self._clock = clock or RealClock()
        self._wrap = wrap
        self._transports: dict[Way, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises NotSent if the environment names a proxy that cannot be used."""
        proxy = self._network.proxies.for_url(request.url)
        request.extensions[ROUTE] = Route(proxy, self._network.ca_bundle_problem)
        way: Way = proxy or "direct"
        if way == "direct" and request.method == "GET" and self._read_limits is not None:
            way = "read"
        transport = self._transports.get(way)
        if transport is None:
            if way == "read":
                # In a thread: it takes a tenth of a second, in which other calls are served.
                await asyncio.to_thread(_import_aiohttp)
            transport = self._transports.get(way) or self._wrap(self._connect(way))
            self._transports[way] = transport
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()

    def _connect(self, way: Way) -> httpx.AsyncBaseTransport:
        # Imported when something is first sent: loading the libraries would be a part of the start.
        certificates, limits = self._network.certificates, self._limits
        if way == "read":
            from devin_mcp.api.read_connections import ReadConnections

            return ReadConnections(certificates, self._read_limits or limits)
        if way == "direct":
            from devin_mcp.api.direct_connections import DirectConnections

            return DirectConnections(certificates, limits, self._clock)
        from devin_mcp.api.proxied_connections import ProxiedConnections

        return ProxiedConnections(way.usable_url(), certificates, limits)


def _import_aiohttp() -> None:
    """Without SSLKEYLOGFILE: aiohttp makes contexts when it is imported, and would fail if that
    file cannot be written.
    """
    forget_variable("SSLKEYLOGFILE")
    import_module("aiohttp")
