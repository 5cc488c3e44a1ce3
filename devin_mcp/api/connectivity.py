"""Looking at the way to Devin: one plain request that costs nothing, and what can be told of the connection."""

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

from devin_mcp.api.connections import HEADERS, base_url, trust
from devin_mcp.api.error_mapping import trouble
from devin_mcp.settings.settings import Settings

_PROXIES = frozenset({"http", "https", "socks4", "socks5", "socks5h"})


@dataclass(frozen=True)
class ProbeResult:
    """One request. `status` is None when there was no answer, and then `problem` says why."""

    status: int | None
    seconds: float
    problem: str = ""
    is_data: bool = True
    """JSON, and not the page of somebody in between."""
    skew: float | None = None
    """Seconds that Devin's clock is ahead of ours, from its Date header, to the second."""
    tls: str | None = None


def proxy_for(address: str) -> str | None:
    """The proxy that is used for it, without a user name or password."""
    parts = urlsplit(address)
    found = getproxies()
    proxy = (
        None if proxy_bypass(parts.hostname or "") else found.get(parts.scheme) or found.get("all")
    )
    if not proxy:
        return None
    try:
        whole = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        shown = f"{whole.scheme}://{whole.hostname}:{whole.port or ''}".rstrip(":")
    except ValueError:
        return "one that is no address"
    misread = (
        "@" in f"{whole.path}{whole.query}{whole.fragment}"
    )  # a password with / ? or # in it ends the host too early
    return (
        "one that is no address"
        if misread or not whole.hostname or whole.scheme not in _PROXIES
        else shown
    )


def addresses_of(host: str) -> list[str]:
    """What its name resolves to. Raises OSError."""
    return sorted(
        {str(row[4][0]) for row in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)}
    )


async def look(settings: Settings, path: str, app: Any = None) -> ProbeResult:
    """`app` is an ASGI application to ask instead of the network (the sandbox)."""
    transport = None if app is None else httpx.ASGITransport(app=app, raise_app_exceptions=False)
    key = settings.api_key if app is None else "apk_sandbox"
    began = time.perf_counter()
    try:
        async with (
            asyncio.timeout(settings.timeout),
            httpx.AsyncClient(
                verify=trust(settings),
                transport=transport,
                timeout=settings.timeout,
                headers=HEADERS,
            ) as client,
            client.stream(
                "GET", base_url(settings) + path, headers={"authorization": f"Bearer {key}"}
            ) as answer,
        ):
            took = time.perf_counter() - began
            is_data = "json" in answer.headers.get("content-type", "")
            return ProbeResult(
                answer.status_code, took, is_data=is_data, skew=_skew(answer), tls=_tls(answer)
            )
    except TimeoutError:  # also of one who goes on sending, bit by bit
        return ProbeResult(
            None, time.perf_counter() - began, f"did not answer within {settings.timeout:g} seconds"
        )
    except httpx.RequestError as error:
        return ProbeResult(None, time.perf_counter() - began, trouble(error))
    except (ImportError, ValueError, httpx.InvalidURL):  # a kind of proxy that httpx does not know
        return ProbeResult(
            None,
            time.perf_counter() - began,
            "cannot be asked: the proxy that the environment names cannot be used",
        )


def _skew(answer: httpx.Response) -> float | None:
    try:
        theirs = parsedate_to_datetime(answer.headers["date"])
        return (theirs.replace(tzinfo=theirs.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _tls(answer: httpx.Response) -> str | None:
    stream = answer.extensions.get("network_stream")
    secured = stream.get_extra_info("ssl_object") if stream is not None else None
    return None if secured is None else str(secured.version())
