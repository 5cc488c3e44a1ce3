"""The signing keys (JWKS, RFC 7517) of the authorization server named by --oauth-issuer."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import jwt

from devin_mcp.api.clock import Clock, RealClock
from devin_mcp.api.fetch import fetch_json
from devin_mcp.errors import Broken
from devin_mcp.observability.log import event
from devin_mcp.settings import Settings
from devin_mcp.settings.parsers import LOOPBACK

KEYS_TTL_SECONDS = 600.0
"""Age at which the keys are fetched again, so that a withdrawn key is soon refused."""
MAX_STALE_SECONDS = 24 * 3600.0
"""Age up to which the keys are used while the issuer cannot be reached."""
MIN_REFRESH_SECONDS = 30.0
"""Pause between fetches. Without it, every token with an invented key id would cause one."""
REFRESH_TIMEOUT = 5.0
"""Seconds for metadata and keys together. Requests that wait for a refresh wait no longer than
this.
"""


class JwksCache:
    """Caches the issuer's keys by key id; fetches them again when they are old or a token names a
    new key id.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        *,
        refresh_timeout: float = REFRESH_TIMEOUT,
    ) -> None:
        self._settings = settings
        self._clock = clock or RealClock()
        self._refresh_timeout = refresh_timeout
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._attempted_at = -MAX_STALE_SECONDS
        self._refreshing = asyncio.Lock()

    async def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key with this id (the `kid` header of a token), or None. Raises Broken when there are
        no keys.
        """
        if not self._is_fresh(key_id):
            async with self._refreshing:
                # Checked again: another request may have refreshed the keys while this one waited
                # for the lock.
                if not self._is_fresh(key_id) and self._may_refresh():
                    await self._refresh()
        if self._age() > MAX_STALE_SECONDS:
            raise Broken(
                "The keys of the authorization server could not be read.", "Try again in a minute."
            )
        return self._keys.get(key_id)

    def _age(self) -> float:
        return self._clock.now() - self._fetched_at

    def _is_fresh(self, key_id: str | None) -> bool:
        return key_id in self._keys and self._age() < KEYS_TTL_SECONDS

    def _may_refresh(self) -> bool:
        return self._clock.now() - self._attempted_at >= MIN_REFRESH_SECONDS

    async def _refresh(self) -> None:
        """Fetch the keys; keep the old ones where that fails."""
        self._attempted_at = self._clock.now()
        try:
            async with asyncio.timeout(self._refresh_timeout):
                url = self._settings.oauth_jwks_url or await self._discover_jwks_url()
                key_set = jwt.PyJWKSet.from_dict(await fetch_json(self._settings, url))
        except (
            Broken,
            ValueError,
            TypeError,
            AttributeError,
            TimeoutError,
            jwt.PyJWTError,
        ) as error:
            event(
                "issuer_keys",
                level="warning",
                outcome="kept the old ones" if self._keys else "none",
                error=type(error.__cause__ or error).__name__,
            )
            return
        self._keys = {
            key.key_id: key for key in key_set.keys if key.public_key_use in {None, "sig"}
        }
        self._fetched_at = self._clock.now()
        event("issuer_keys", outcome="read", count=len(self._keys))

    async def _discover_jwks_url(self) -> str:
        """`jwks_uri` of the issuer's metadata.

        RFC 8414 inserts the well-known part before the issuer's path; OpenID Connect Discovery
        appends it.
        """
        issuer = self._settings.oauth_issuer
        parts = urlsplit(issuer)
        origin = f"{parts.scheme}://{parts.netloc}"
        path = parts.path.rstrip("/")
        failure: Exception = ValueError("The issuer publishes no usable metadata.")
        for metadata_url in (
            f"{origin}/.well-known/oauth-authorization-server{path}",
            f"{origin}{path}/.well-known/openid-configuration",
        ):
            try:
                metadata = await fetch_json(self._settings, metadata_url)
            except (Broken, ValueError) as error:
                failure = error
                continue
            url = metadata.get("jwks_uri")
            if metadata.get("issuer") == issuer and isinstance(url, str) and _is_trustworthy(url):
                return url
        raise failure


def _is_trustworthy(url: str) -> bool:
    """True for https, and for http on this machine: keys that can be replaced on the way prove
    nothing.
    """
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
