"""How requests leave the machine: a pool for each key, the proxies, the certificates, and where Devin is."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from http.cookiejar import CookieJar
from typing import Any

import certifi
import httpx

from devin_mcp import __version__
from devin_mcp.api.clock import Clock
from devin_mcp.api.retry import RetryTransport, Upstream
from devin_mcp.errors import NotSent
from devin_mcp.settings.settings import Settings

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept."""
MAX_IDLE_POOLS = 1000
"""Pools of idle keys that are kept; the one not used for longest goes first."""
HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "user-agent": f"devin-mcp/{__version__}",
}


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


def fingerprint(key: str) -> str:
    """Whose something is, without the key: what belongs to a key is kept and announced under it."""
    return sha256(key.encode()).hexdigest()


@dataclass
class _Pool:
    client: httpx.AsyncClient
    users: int = 0
    used_at: float = 0.0


class ConnectionPools:
    """A pool of connections for each key, so that no answer can ever reach another key's request on a shared connection."""

    def __init__(self, settings: Settings, app: Any, clock: Clock) -> None:
        self._settings = settings
        self._app = app
        self._clock = clock
        self._pools: OrderedDict[str, _Pool] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_due = False
        """Idle ones will be looked for in a moment."""
        self.upstream = Upstream(asyncio.Semaphore(settings.max_upstream_requests))

    @asynccontextmanager
    async def client(self, owner: str) -> AsyncIterator[httpx.AsyncClient]:
        """The key's own client, for as long as the block lasts. `owner` is the key's fingerprint."""
        pool = self._pools.get(owner)
        if pool is None:
            pool = self._pools[owner] = _Pool(self._made())
        pool.users += 1
        try:
            yield pool.client
        finally:
            pool.users -= 1
            pool.used_at = self._clock.now()
            if self._pools.get(owner) is pool:  # all are gone once the server has ended
                self._pools.move_to_end(owner)
                if len(self._pools) > MAX_IDLE_POOLS:
                    self._close_some()
                self._look_again()

    async def aclose(self) -> None:
        pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            await pool.client.aclose()
        await asyncio.gather(*self._closing)

    def _look_again(self) -> None:
        """A connection that is too old is noticed only when its pool is used again, so idle pools are looked for."""
        if not self._is_due and len(self._pools) > 1:
            self._is_due = True
            asyncio.get_running_loop().call_later(KEEP_ALIVE, self._close_idle)

    def _close_idle(self) -> None:
        self._is_due = False
        self._close_some()
        self._look_again()

    def _close_some(self) -> None:
        """Those that are too old, and the oldest where there are too many; never the one used last, nor one in use."""
        old = self._clock.now() - KEEP_ALIVE
        for owner, pool in list(self._pools.items())[:-1]:
            if pool.users:
                continue
            if pool.used_at > old and len(self._pools) <= MAX_IDLE_POOLS:
                break
            del self._pools[owner]
            task = asyncio.ensure_future(pool.client.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """Read once, when something is first sent: that costs more than the rest of the start."""
        return trust(self._settings)

    def _made(self) -> httpx.AsyncClient:
        if self._app is not None:
            inside = RetryTransport(
                httpx.ASGITransport(app=self._app, raise_app_exceptions=False), self.upstream
            )
            return httpx.AsyncClient(transport=inside, cookies=_NoCookies(), trust_env=False)
        most = self._settings.max_upstream_requests
        limits = httpx.Limits(
            max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEEP_ALIVE
        )
        try:
            client = httpx.AsyncClient(verify=self._trust, cookies=_NoCookies(), limits=limits)
        except (
            ImportError,
            ValueError,
            httpx.InvalidURL,
        ):  # a kind of proxy that httpx does not know
            raise NotSent(
                "The proxy that the environment names (HTTPS_PROXY, ALL_PROXY) cannot be used.",
                "Nothing was sent. Use an http, https, socks5 or socks5h proxy, or unset the variable, and restart the server.",
            ) from None
        # httpx builds the proxies of the environment (with their exceptions) itself, but only where it also builds the
        # default transport. So they are wrapped after the fact; there is no public way to have both.
        client._transport = RetryTransport(client._transport, self.upstream)
        client._mounts = {
            where: None if inner is None else RetryTransport(inner, self.upstream)
            for where, inner in client._mounts.items()
        }
        return client


def trust(settings: Settings) -> ssl.SSLContext:
    """The system's store and certifi's, and a company's own bundle added to them rather than put in their place."""
    context = ssl.create_default_context(cafile=certifi.where())
    with suppress(ssl.SSLError):
        context.load_default_certs()
    if settings.ca_bundle is not None:
        context.load_verify_locations(cafile=settings.ca_bundle)
    return context
