"""An authorization server, as far as a resource server needs it: where its keys are, and which it has now."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from devin_mcp.api.clock import Clock, RealClock
from devin_mcp.api.connections import HEADERS, trust
from devin_mcp.errors import Broken
from devin_mcp.observability.log import event
from devin_mcp.settings.parsers import LOOPBACK
from devin_mcp.settings.settings import Settings

KEPT = 600.0
"""Seconds after which the keys are read again, so that one that was withdrawn is not taken for long."""
KEPT_IN_NEED = 24 * 3600.0
"""The same while the issuer cannot be reached."""
PAUSE = 30.0
"""Seconds between looks for a key nobody knows: otherwise made-up tokens would make us ask without end."""
PATIENCE = 5.0
"""Seconds for all of a reading; those who wait for it are let in by what is known, or not at all."""
LARGEST = 512 * 1024


class JwksCache:
    """The keys of `--oauth-issuer`, read when needed, kept, and read again when a token names one that is new."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or RealClock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_at = self._tried_at = -KEPT_IN_NEED
        self._reading = asyncio.Lock()

    async def key(self, name: str | None) -> jwt.PyJWK | None:
        """The key of this id (`kid`), or None. Raises Broken when no keys can be had."""
        if not self._is_known(name):
            async with self._reading:
                if not self._is_known(name) and self._clock.now() - self._tried_at >= PAUSE:
                    await self._read()
        if self._clock.now() - self._read_at > KEPT_IN_NEED:
            raise Broken(
                "The keys of the authorization server could not be read.", "Try again in a minute."
            )
        return self._keys.get(name)

    def _is_known(self, name: str | None) -> bool:
        return name in self._keys and self._clock.now() - self._read_at < KEPT

    async def _read(self) -> None:
        self._tried_at = self._clock.now()
        try:
            async with (
                asyncio.timeout(PATIENCE),  # of the whole: httpx's own is of each piece
                httpx.AsyncClient(verify=trust(self._settings), headers=HEADERS) as client,
            ):
                found = await _json(
                    client, self._settings.oauth_jwks_url or await self._keys_url(client)
                )
            keys = [
                key
                for key in jwt.PyJWKSet.from_dict(found).keys
                if key.public_key_use in {None, "sig"}
            ]
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            ValueError,
            TimeoutError,
            jwt.PyJWTError,
        ) as problem:
            event(
                "issuer_keys",
                level="warning",
                outcome="kept the old ones" if self._keys else "none",
                error=type(problem).__name__,
            )
            return
        self._keys = {key.key_id: key for key in keys}
        self._read_at = self._clock.now()
        event("issuer_keys", outcome="read", count=len(self._keys))

    async def _keys_url(self, client: httpx.AsyncClient) -> str:
        """From the issuer's metadata: RFC 8414 puts the well-known part before the issuer's path, OpenID behind it."""
        issuer = self._settings.oauth_issuer
        parts = urlsplit(issuer)
        at = f"{parts.scheme}://{parts.netloc}"
        path = parts.path.rstrip("/")
        problem: Exception = ValueError("no metadata")
        for address in (
            f"{at}/.well-known/oauth-authorization-server{path}",
            f"{at}{path}/.well-known/openid-configuration",
        ):
            try:
                found = await _json(client, address)
            except (httpx.HTTPError, ValueError) as one:
                problem = one
                continue
            url = found.get("jwks_uri")
            if found.get("issuer") == issuer and isinstance(url, str) and _is_safe(url):
                return url
        raise problem


async def _json(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    async with client.stream("GET", address) as response:
        response.raise_for_status()
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > LARGEST:
                raise ValueError("too large")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - what came is wrong, not what we passed
    return found


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
