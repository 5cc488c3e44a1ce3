"""Connectivity check: one GET that costs nothing, and a report on its response."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from devin_mcp.api.connections import HEADERS, base_url, ssl_context
from devin_mcp.api.error_mapping import describe_transport_error
from devin_mcp.keys import DevinKey
from devin_mcp.settings import Settings

_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks5", "socks5h"})
_INVALID_PROXY = "an invalid URL"


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of one request. `status` is None if no response came; `problem` says why."""

    status: int | None
    seconds: float
    problem: str = ""
    is_json: bool = True
    """False for the web page of a proxy in between."""
    clock_skew: float | None = None
    """Seconds that Devin's clock is ahead of this machine's, from the Date header."""
    tls: str | None = None
    """The TLS version, None without TLS."""


def proxy_for(url: str) -> str | None:
    """The proxy that is used for `url`, without user name and password; None without a proxy."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    try:
        parsed = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        safe_url = f"{parsed.scheme}://{parsed.hostname}:{parsed.port or ''}".rstrip(":")
    except ValueError:
        return _INVALID_PROXY
    # A password that contains / ? or # ends the host too early.
    misparsed = "@" in f"{parsed.path}{parsed.query}{parsed.fragment}"
    if misparsed or not parsed.hostname or parsed.scheme not in _PROXY_SCHEMES:
        return _INVALID_PROXY
    return safe_url


def resolve_host(host: str) -> list[str]:
    """The addresses of a host name. Raises OSError."""
    return sorted(
        {str(info[4][0]) for info in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)}
    )


async def probe(settings: Settings, key: DevinKey, path: str, app: Any = None) -> ProbeResult:
    """GET `path` once with the key. `app` is an ASGI application (sandbox)."""
    transport = None if app is None else httpx.ASGITransport(app=app, raise_app_exceptions=False)
    started_at = time.perf_counter()

    def failed(problem: str) -> ProbeResult:
        return ProbeResult(None, time.perf_counter() - started_at, problem)

    try:
        async with (
            asyncio.timeout(settings.timeout),
            httpx.AsyncClient(
                verify=ssl_context(settings),
                transport=transport,
                timeout=settings.timeout,
                headers=HEADERS,
            ) as client,
            client.stream(
                "GET", base_url(settings) + path, headers={"authorization": f"Bearer {key.text}"}
            ) as response,
        ):
            return ProbeResult(
                response.status_code,
                time.perf_counter() - started_at,
                is_json="json" in response.headers.get("content-type", ""),
                clock_skew=_clock_skew(response),
                tls=_tls_version(response),
            )
    except TimeoutError:  # of the whole request: a server may send byte by byte
        return failed(f"did not answer within {settings.timeout:g} seconds")
    except httpx.RequestError as error:
        return failed(describe_transport_error(error))
    except (ImportError, ValueError, httpx.InvalidURL):  # a proxy scheme unknown to httpx
        return failed("cannot be asked: the proxy that the environment names cannot be used")


def _clock_skew(response: httpx.Response) -> float | None:
    try:
        date = parsedate_to_datetime(response.headers["date"])
        return (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _tls_version(response: httpx.Response) -> str | None:
    stream = response.extensions.get("network_stream")
    ssl_object = stream.get_extra_info("ssl_object") if stream is not None else None
    return None if ssl_object is None else str(ssl_object.version())
