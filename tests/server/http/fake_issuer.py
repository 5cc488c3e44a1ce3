"""A fake authorization server over real HTTP: its metadata and its signing keys."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from devin_mcp.settings import Settings
from tests.conftest import settings_for
from tests.http_client import ACCEPT, INITIALIZE
from tests.upstream import Upstream

PUBLIC_URL = "https://mcp.example.com/mcp"
READ_SCOPE, ALL_SCOPES = "devin:read", "devin:read devin:write devin:destroy"


@dataclass
class FakeIssuer:
    url: str = ""
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    requested_paths: list[str] = field(default_factory=list)
    is_down: bool = False
    is_endless: bool = False
    """Answer with a body that never ends."""

    def new_key(self, key_id: str) -> None:
        self.keys[key_id] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, scope: Any = ALL_SCOPES, *, key: str = "k1", **claims: Any) -> str:
        """A signed access token. A claim that is None is left out."""
        now = int(time.time())
        defaults = {
            "iss": self.url,
            "aud": PUBLIC_URL,
            "sub": "ana",
            "iat": now,
            "exp": now + 300,
            "scope": scope,
        }
        payload = {name: value for name, value in (defaults | claims).items() if value is not None}
        return jwt.encode(payload, self.keys[key], "RS256", headers={"kid": key, "typ": "at+jwt"})

    async def respond(self, request: Request) -> Response:
        self.requested_paths.append(request.url.path)
        if self.is_down:
            return Response(status_code=500)
        if self.is_endless:
            return StreamingResponse(_endless_body())
        if request.url.path == "/tenant/keys":
            return JSONResponse({"keys": [_jwk(key_id, key) for key_id, key in self.keys.items()]})
        if request.url.path == "/tenant/.well-known/openid-configuration":
            return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        return Response(status_code=404)


def _jwk(key_id: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return jwk | {"kid": key_id, "use": "sig"}


async def _endless_body() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await anyio.sleep(0.05)


def oauth_settings(upstream: Upstream, issuer: FakeIssuer, **flags: Any) -> Settings:
    return settings_for(
        upstream, auth="oauth", oauth_issuer=issuer.url, public_url=PUBLIC_URL, **flags
    )


@asynccontextmanager
async def posting(url: str) -> AsyncIterator[Callable[..., Any]]:
    """A function that sends one request with an access token, or without one for None."""
    async with httpx.AsyncClient(timeout=10) as http:

        async def post(token: str | None) -> httpx.Response:
            headers = ACCEPT | {"host": "mcp.example.com"}
            if token is not None:
                headers |= {"authorization": f"Bearer {token}"}
            return await http.post(url, json=INITIALIZE, headers=headers)

        yield post
