"""Connections through a proxy: httpx's own transport, with its pool."""

from __future__ import annotations

import ssl

import httpx
from socksio import SOCKSError


class ProxiedConnections(httpx.AsyncHTTPTransport):
    """As httpx's, but an answer that is not of a SOCKS proxy raises an error of httpx."""

    def __init__(
        self, proxy: httpx.URL, certificates: ssl.SSLContext, limits: httpx.Limits
    ) -> None:
        to_proxy = certificates if proxy.scheme == "https" else None
        super().__init__(
            verify=certificates,
            trust_env=False,
            limits=limits,
            proxy=httpx.Proxy(proxy, ssl_context=to_proxy),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except SOCKSError as error:
            raise httpx.ProxyError("no SOCKS 5 proxy", request=request) from error
