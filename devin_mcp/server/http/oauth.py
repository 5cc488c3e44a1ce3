"""oauth: this server as an OAuth 2.1 resource server. Scopes decide what a caller sees; the caller's token goes nowhere.

Facts: MCP authorization (2026-07-28), RFC 9728 (metadata), RFC 6750 (challenges), RFC 9068 (access tokens as JWT).
"""

from __future__ import annotations

import time
from typing import Any

import jwt
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.datastructures import Headers
from starlette.routing import Route

from devin_mcp.errors import Broken
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, READ, Effect
from devin_mcp.server.http.auth import bearer
from devin_mcp.server.http.jwks import JwksCache
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.server.identity import Identity
from devin_mcp.server.visibility import Restriction

SCOPES: dict[str, frozenset[Effect]] = {
    "devin:read": frozenset({READ}),
    "devin:write": frozenset({CREATE, CHANGE}),
    "devin:destroy": frozenset({DESTROY}),
}
REQUIRED = "devin:read"
LEEWAY = 30
"""Seconds that clocks may differ."""
ALGORITHMS = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
"""Signed with a key that only the issuer has; a shared secret or none at all is no signature."""

_URL = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))
"""As it was written: clients compare an issuer letter by letter."""


class OAuthAuth:
    """oauth: who has an access token of the issuer that is meant for this server, with this server's key."""

    takes_keys = False

    def __init__(
        self, key: str, issuer: JwksCache, *, issued_by: str, audience: str, public_url: str
    ) -> None:
        self._key = key
        self._issuer = issuer
        self._issued_by = issued_by
        self._audience = audience
        self._public_url = _URL.validate_python(public_url)
        self._metadata_url = build_resource_metadata_url(self._public_url)

    @property
    def routes(self) -> list[Route]:
        """The metadata that tells a host where to get a token."""
        return create_protected_resource_routes(
            resource_url=self._public_url,
            authorization_servers=[_URL.validate_python(self._issued_by)],
            scopes_supported=list(SCOPES),
            resource_name="Devin",
        )

    async def admit(self, headers: Headers) -> Identity:
        token = bearer(headers)
        if not token:
            raise self._challenge(
                401,
                "no_token",
                "Sign in first: this server takes access tokens of its authorization server.",
            )
        claims = await self._claims(token)
        scopes = _scopes(claims)
        if REQUIRED not in scopes:
            raise self._challenge(
                403,
                "scope",
                f"The access token lacks the scope {REQUIRED}.",
                error="insufficient_scope",
                scope=REQUIRED,
            )
        effects = frozenset[Effect]().union(*(SCOPES[one] for one in scopes & SCOPES.keys()))
        subject, until = str(claims["sub"]), float(claims["exp"]) + LEEWAY
        return Identity(
            self._key,
            subject[:100],
            Restriction(effects=effects),
            subject=subject,
            is_still_valid=lambda: time.time() < until,
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            key = await self._issuer.key(header.get("kid"))
            if key is None:
                raise jwt.InvalidTokenError("unknown key")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issued_by,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            if not claims["sub"].strip():
                raise jwt.InvalidTokenError("nobody's")
        except jwt.ExpiredSignatureError:
            raise self._challenge(
                401, "expired", "The access token has expired.", error="invalid_token"
            ) from None
        except jwt.InvalidAudienceError:
            raise self._challenge(
                401,
                "audience",
                "The access token is meant for another server.",
                error="invalid_token",
            ) from None
        except jwt.PyJWTError:
            raise self._challenge(
                401, "bad_token", "The access token is not valid here.", error="invalid_token"
            ) from None
        except Broken as trouble:
            raise RequestRejected(503, "issuer", str(trouble), {"retry-after": "30"}) from None
        return claims

    def _challenge(
        self, status: int, reason: str, text: str, *, error: str = "", scope: str = " ".join(SCOPES)
    ) -> RequestRejected:
        described = {"error": error, "error_description": text if error else ""}
        parts = {**described, "scope": scope, "resource_metadata": str(self._metadata_url)}
        challenge = ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)
        return RequestRejected(status, reason, text, {"www-authenticate": f"Bearer {challenge}"})


def _scopes(claims: dict[str, Any]) -> set[str]:
    """`scope` with spaces between (RFC 9068), or a list as some issuers write it."""
    found = claims.get("scope", claims.get("scp", ""))
    if isinstance(found, str):
        return set(found.split())
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()
