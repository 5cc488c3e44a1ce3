"""The transport of all requests: direct, or through the environment's proxy for the URL."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import httpx
from socksio import SOCKSError

from devin_mcp.api.certificates import trust_store
from devin_mcp.api.clock import Clock, RealClock
from devin_mcp.api.direct_connections import DirectConnections
from devin_mcp.api.proxies import EnvironmentProxies, EnvironmentProxy
from devin_mcp.settings import Settings

DEFAULT_LIMITS = httpx.Limits(
    max_connections=10, max_keepalive_connections=10, keepalive_expiry=5.0
)
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
        return cls(EnvironmentProxies.read(), *trust_store(settings))


@dataclass(frozen=True)
class Route:
    """How one request was sent, for the description of a failure."""

    proxy: EnvironmentProxy | None = None
    ca_bundle_problem: str | None = None


class EnvironmentTransport(httpx.AsyncBaseTransport):
    """Has connections for direct requests, and others for each proxy."""

    def __init__(
        self,
        network: Network,
        *,
        limits: httpx.Limits = DEFAULT_LIMITS,
        clock: Clock | None = None,
        wrap: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport] = lambda inner: inner,
    ) -> None:
        """`limits` are those of each way. `wrap` is applied to each transport that connects."""
        self._network = network
        self._limits = limits
        self._clock = clock or RealClock()
        self._wrap = wrap
        self._transports: dict[EnvironmentProxy | None, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises NotSent if the environment names a proxy that cannot be used."""
        proxy = self._network.proxies.for_url(request.url)
        request.extensions[ROUTE] = Route(proxy, self._network.ca_bundle_problem)
        transport = self._transports.get(proxy)
        if transport is None:
            transport = self._transports[proxy] = self._wrap(self._connect_through(proxy))
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()

    def _connect_through(self, proxy: EnvironmentProxy | None) -> httpx.AsyncBaseTransport:
        certificates, limits = self._network.certificates, self._limits
        if proxy is None:
            return DirectConnections(certificates, limits, self._clock)
        is_https = proxy.usable_url().scheme == "https"
        url = httpx.Proxy(proxy.usable_url(), ssl_context=certificates if is_https else None)
        return _ProxyTransport(verify=certificates, trust_env=False, limits=limits, proxy=url)


class _ProxyTransport(httpx.AsyncHTTPTransport):
    """httpx's own, but an answer that is not of a SOCKS proxy raises an error of httpx."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except SOCKSError as error:
            raise httpx.ProxyError("no SOCKS 5 proxy", request=request) from error
