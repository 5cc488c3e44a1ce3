"""Connectivity check: one GET that costs nothing, and a report on its response."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from devin_mcp.api.connections import HEADERS, base_url
from devin_mcp.api.environment_transport import EnvironmentTransport, Network
from devin_mcp.api.error_body import MAX_ERROR_BYTES, parse_error
from devin_mcp.api.error_mapping import describe_transport_error
from devin_mcp.api.proxies import EnvironmentProxies, EnvironmentProxy
from devin_mcp.api.response_body import decoded_parts
from devin_mcp.api.responses import is_web_page
from devin_mcp.errors import NotSent
from devin_mcp.keys import DevinKey
from devin_mcp.settings import Settings


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of one request. `status` is None if no response came; `problem` says why."""

    status: int | None
    seconds: float
    problem: str = ""
    is_from_devin: bool = True
    """False for what something in between answered, such as the web page of a proxy."""
    clock_skew: float | None = None
    """Seconds that Devin's clock is ahead of this machine's, from the Date header."""
    tls: str | None = None
    """The TLS version, None without TLS."""


def proxy_for(url: str) -> EnvironmentProxy | None:
    """The proxy through which requests to `url` are sent; None without a proxy."""
    return EnvironmentProxies.read().for_url(httpx.URL(url))


def ignored_in_no_proxy() -> tuple[str, ...]:
    """Entries of NO_PROXY of no known form."""
    return EnvironmentProxies.read().no_proxy.ignored


def resolve_host(host: str) -> list[str]:
    """The addresses of a host name. Raises OSError."""
    return sorted(
        {str(info[4][0]) for info in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)}
    )


async def probe(settings: Settings, key: DevinKey, path: str, app: Any = None) -> ProbeResult:
    """GET `path` once with the key. `app` is an ASGI application (sandbox)."""
    transport: httpx.AsyncBaseTransport = (
        EnvironmentTransport(Network.of(settings))
        if app is None
        else httpx.ASGITransport(app=app, raise_app_exceptions=False)
    )
    started_at = time.perf_counter()

    def failed(problem: str) -> ProbeResult:
        return ProbeResult(None, time.perf_counter() - started_at, problem)

    try:
        async with (
            asyncio.timeout(settings.timeout),
            httpx.AsyncClient(
                transport=transport,
                timeout=settings.timeout,
                headers=HEADERS,
                trust_env=False,
            ) as client,
            client.stream(
                "GET", base_url(settings) + path, headers={"authorization": f"Bearer {key.text}"}
            ) as response,
        ):
            return ProbeResult(
                response.status_code,
                time.perf_counter() - started_at,
                is_from_devin=await _is_from_devin(response),
                clock_skew=_clock_skew(response),
                tls=_tls_version(response),
            )
    except TimeoutError:  # of the whole request: a server may send byte by byte
        return failed(f"did not answer within {settings.timeout:g} seconds")
    except httpx.RequestError as error:
        return failed(describe_transport_error(error))
    except NotSent as error:
        return failed(f"cannot be asked: {error.message}")


async def _is_from_devin(response: httpx.Response) -> bool:
    if response.is_success:
        return not is_web_page(response)
    content = b""
    async for part in decoded_parts(response):
        content += part
        if len(content) > MAX_ERROR_BYTES:
            return False
    return parse_error(response.status_code, content) is not None


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
