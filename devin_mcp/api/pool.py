"""How requests leave the machine: the pool, the proxies, the certificates, and where Devin is."""

from __future__ import annotations

import ssl
from contextlib import suppress
from http.cookiejar import CookieJar
from typing import Any

import certifi
import httpx

from devin_mcp import __version__
from devin_mcp.api.retry import RetryTransport
from devin_mcp.errors import NotSent
from devin_mcp.settings import Settings

LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=32, keepalive_expiry=15)
HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate", "user-agent": f"devin-mcp/{__version__}"}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class _NoCookies(CookieJar):
    """The API has none, and a cookie one caller was given must never travel with another's request."""

    def extract_cookies(self, response: object, request: object) -> None:  # noqa: ARG002 - the names are the base class's
        return


def base_url(settings: Settings) -> str:
    """Where the API is. The sandbox has a name that can never be resolved, should anything try."""
    return "http://sandbox.invalid" if settings.sandbox else settings.base_url


def app_url(settings: Settings) -> str:
    if settings.sandbox:
        return "https://sandbox.invalid"
    if settings.app_url:
        return settings.app_url
    return "https://app.devin.ai" if settings.base_url == "https://api.devin.ai" else ""


def http_client(settings: Settings, app: Any) -> httpx.AsyncClient:
    if app is not None:
        inside = RetryTransport(httpx.ASGITransport(app=app, raise_app_exceptions=False))
        return httpx.AsyncClient(transport=inside, cookies=_NoCookies(), trust_env=False)
    try:
        client = httpx.AsyncClient(verify=_trust(settings), cookies=_NoCookies(), limits=LIMITS)
    except (ImportError, ValueError, httpx.InvalidURL):  # a kind of proxy that httpx does not know
        raise NotSent(
            "The proxy that the environment names (HTTPS_PROXY, ALL_PROXY) cannot be used.",
            "Nothing was sent. Use an http, https, socks5 or socks5h proxy, or unset the variable, and restart the server.",
        ) from None
    # httpx builds the proxies of the environment (with their exceptions) itself, but only where it also builds the
    # default transport. So they are wrapped after the fact; there is no public way to have both.
    client._transport = RetryTransport(client._transport)
    client._mounts = {where: None if inner is None else RetryTransport(inner) for where, inner in client._mounts.items()}
    return client


def _trust(settings: Settings) -> ssl.SSLContext:
    """The system's store and certifi's, and a company's own bundle added to them rather than put in their place."""
    context = ssl.create_default_context(cafile=certifi.where())
    with suppress(ssl.SSLError):
        context.load_default_certs()
    if settings.ca_bundle is not None:
        context.load_verify_locations(cafile=settings.ca_bundle)
    return context
