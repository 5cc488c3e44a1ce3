"""OAuth 2.1 resource server (--auth oauth): scopes decide what a caller sees.

The access token is never passed on; requests to Devin carry the server's key.

Sources: MCP authorization (2026-07-28), RFC 9728 (metadata), RFC 6750 (challenges), RFC 9068 (JWT
access tokens).
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
from devin_mcp.keys import DevinKey
from devin_mcp.operations.catalog import CHANGE, CREATE, DESTROY, READ, Effect
from devin_mcp.server.http.auth import bearer_token
from devin_mcp.server.http.jwks import JwksCache
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.server.identity import Identity
from devin_mcp.server.visibility import Restriction

SCOPES: dict[str, frozenset[Effect]] = {
    "devin:read": frozenset({READ}),
    "devin:write": frozenset({CREATE, CHANGE}),
    "devin:destroy": frozenset({DESTROY}),
}
"""Scope -> effects of the operations that it allows."""
REQUIRED_SCOPE = "devin:read"
LEEWAY_SECONDS = 30
"""Tolerated difference between the clocks of issuer and server."""
MAX_NAME_CHARS = 100
"""Length of the caller's name in the log, where the subject is longer."""
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
"""Asymmetric algorithms only: with HS256 a public key could be used as the secret, and `none` is no
signature.
"""

_URL = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))
"""Keeps a URL as it was written, because clients compare an issuer character by character."""

METADATA_PATH = "/.well-known/oauth-protected-resource"


class OAuthAuth:
    """oauth: callers with an access token of the issuer for this server's audience, with the
    server's Devin key.
    """

    accepts_caller_keys = False

    def __init__(
        self, key: DevinKey, jwks: JwksCache, *, issuer: str, audience: str, public_url: str
    ) -> None:
        self._key = key
        self._jwks = jwks
        self._issuer = issuer
        self._audience = audience
        self._public_url = _URL.validate_python(public_url)
        self._metadata_url = build_resource_metadata_url(self._public_url)

    @property
    def routes(self) -> list[Route]:
        """Protected resource metadata (RFC 9728): names the authorization server for clients.

        Clients look below the well-known path first, and then at it.
        """
        routes = create_protected_resource_routes(
            resource_url=self._public_url,
            authorization_servers=[_URL.validate_python(self._issuer)],
            scopes_supported=list(SCOPES),
            resource_name="Devin",
        )
        paths = {METADATA_PATH, *(route.path for route in routes)}
        endpoint, methods = routes[0].endpoint, routes[0].methods
        return [Route(path, endpoint, methods=methods) for path in sorted(paths)]

    async def authenticate(self, headers: Headers, restriction: Restriction) -> Identity:
        token = bearer_token(headers)
        if not token:
            raise self._challenge(
                401,
                "no_token",
                "Sign in first: this server takes access tokens of its authorization server.",
            )
        claims = await self._verify(token)
        scopes = _scopes_of(claims)
        if REQUIRED_SCOPE not in scopes:
            raise self._challenge(
                403,
                "scope",
                f"The access token lacks the scope {REQUIRED_SCOPE}.",
                error="insufficient_scope",
                scope=REQUIRED_SCOPE,
            )
        effects = frozenset[Effect]().union(*(SCOPES[scope] for scope in scopes & SCOPES.keys()))
        subject = str(claims["sub"])
        expires_at = float(claims["exp"]) + LEEWAY_SECONDS
        return Identity(
            key=self._key,
            name=subject[:MAX_NAME_CHARS],
            subject=subject,
            restriction=Restriction(effects=effects).intersect(restriction),
            is_still_valid=lambda: time.time() < expires_at,
        )

    async def _verify(self, token: str) -> dict[str, Any]:
        """The claims of a valid token. Raises RequestRejected."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self._jwks.key(header.get("kid"))
            if key is None:
                raise jwt.InvalidTokenError("unknown key")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            if not claims["sub"].strip():
                raise jwt.InvalidTokenError("empty subject")
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
        except Broken as error:
            raise RequestRejected(503, "issuer", str(error), {"retry-after": "30"}) from None
        return claims

    def _challenge(
        self, status: int, reason: str, text: str, *, error: str = "", scope: str = " ".join(SCOPES)
    ) -> RequestRejected:
        """A rejection with a WWW-Authenticate header, which names an error only if a token was sent
        (RFC 6750 §3).
        """
        parameters = {
            "error": error,
            "error_description": text if error else "",
            "scope": scope,
            "resource_metadata": str(self._metadata_url),
        }
        challenge = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)
        return RequestRejected(status, reason, text, {"www-authenticate": f"Bearer {challenge}"})


def _scopes_of(claims: dict[str, Any]) -> set[str]:
    """`scope` as a string separated by spaces (RFC 9068), or a list in `scp` or `scope` as some
    issuers send it.
    """
    scopes = claims.get("scope", claims.get("scp", ""))
    if isinstance(scopes, str):
        return set(scopes.split())
    return (
        {scope for scope in scopes if isinstance(scope, str)} if isinstance(scopes, list) else set()
    )
