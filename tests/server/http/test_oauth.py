"""oauth: an access token of the issuer, meant for this server, with scopes that decide what there is."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from devin_mcp.asgi_server import bind_socket
from devin_mcp.settings.settings import Settings
from tests.clock import AutoClock
from tests.conftest import Era, settings_for
from tests.http_client import ACCEPT, PING, Quiet, deployed, visiting
from tests.upstream import KEY, Upstream

Logs = Callable[[], list[dict[str, Any]]]
US = "https://mcp.example.com/mcp"
READ, ALL = "devin:read", "devin:read devin:write devin:destroy"


async def drops() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await anyio.sleep(0.5)


@dataclass
class JwksCache:
    """An authorization server as far as a resource server sees it: metadata and keys, over real HTTP."""

    url: str = ""
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False
    dripping: bool = False

    def new_key(self, name: str) -> None:
        self.keys[name] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, scope: Any = ALL, *, key: str = "k1", **claims: Any) -> str:
        now = int(time.time())
        whole = {
            "iss": self.url,
            "aud": US,
            "sub": "ana",
            "iat": now,
            "exp": now + 300,
            "scope": scope,
        } | claims
        known = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(known, self.keys[key], "RS256", headers={"kid": key, "typ": "at+jwt"})

    async def answer(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        if self.down:
            return Response(status_code=500)
        if self.dripping:
            return StreamingResponse(drops())
        if request.url.path == "/tenant/keys":
            made = [
                json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
                for key in self.keys.values()
            ]
            return JSONResponse(
                {
                    "keys": [
                        one | {"kid": name, "use": "sig"}
                        for one, name in zip(made, self.keys, strict=True)
                    ]
                }
            )
        if request.url.path == "/tenant/.well-known/openid-configuration":
            return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        return Response(status_code=404)


@pytest.fixture
async def issuer() -> AsyncIterator[JwksCache]:
    import asyncio

    made = JwksCache()
    made.new_key("k1")
    listener, address = bind_socket("127.0.0.1", 0)
    made.url = f"{address}/tenant"
    web = Quiet(
        uvicorn.Config(Starlette(routes=[Route("/{path:path}", made.answer)]), log_config=None)
    )
    serving = asyncio.ensure_future(web.serve(sockets=[listener]))
    yield made
    web.should_exit = True
    await serving


def guarded(upstream: Upstream, issuer: JwksCache, **more: Any) -> Settings:
    return settings_for(upstream, auth="oauth", oauth_issuer=issuer.url, public_url=US, **more)


@asynccontextmanager
async def knocking(url: str) -> AsyncIterator[Callable[..., Any]]:
    async with httpx.AsyncClient(timeout=10) as web:

        async def knock(token: str | None) -> httpx.Response:
            given = {} if token is None else {"authorization": f"Bearer {token}"}
            return await web.post(
                url, json=PING, headers=ACCEPT | {"host": "mcp.example.com"} | given
            )

        yield knock


def of(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_scopes_decide_what_there_is_and_the_token_goes_nowhere(
    upstream: Upstream, issuer: JwksCache, era: Era, logs: Logs
) -> None:
    async with deployed(guarded(upstream, issuer)) as url:
        for scope, count, gone in (
            (READ, 8, "devin_create_session"),
            ("devin:read devin:write", 18, "devin_terminate_session"),
            (ALL, 22, ""),
        ):
            async with visiting(url, of(issuer.token(scope)), era=era) as client:
                names = {tool.name for tool in (await client.sdk.list_tools()).tools}
                assert (len(names), gone in names) == (count, False)
                if gone:
                    assert "Unknown tool" in await client.error(
                        gone.removeprefix("devin_"), session_id="devin-1"
                    )
                await client.ok("list_playbooks")
    assert {seen.headers["authorization"] for seen in upstream.requests} == {f"Bearer {KEY}"}
    calls = [line for line in logs() if line["event"] == "mcp_call"]
    assert {line["caller"] for line in calls} == {"ana"}
    assert "eyJ" not in str(logs())


async def test_nobody_is_told_where_to_sign_in_but_by_the_challenge(
    upstream: Upstream, issuer: JwksCache
) -> None:
    async with (
        deployed(guarded(upstream, issuer)) as url,
        knocking(url) as knock,
        httpx.AsyncClient() as web,
    ):
        challenge = (await knock(None)).headers["www-authenticate"]
        metadata = await web.get(url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp"))
    assert challenge.startswith("Bearer scope=")
    assert (
        'resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"'
        in challenge
    )
    assert metadata.json() == {
        "resource": US,
        "authorization_servers": [issuer.url],
        "scopes_supported": ["devin:read", "devin:write", "devin:destroy"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Devin",
    }


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"aud": "https://other.example.com/mcp"}, "meant for another server"),
    ({"aud": None}, "not valid here"),
    ({"iss": "https://evil.example"}, "not valid here"),
    ({"exp": 1000}, "has expired"),
    ({"exp": None}, "not valid here"),
    ({"sub": None}, "not valid here"),
    ({"nbf": 32503680000}, "not valid here"),
]


@pytest.mark.parametrize(("claims", "says"), REFUSED)
async def test_a_token_that_is_not_for_this_server_is_refused(
    upstream: Upstream, issuer: JwksCache, claims: dict[str, Any], says: str
) -> None:
    async with deployed(guarded(upstream, issuer)) as url, knocking(url) as knock:
        answer = await knock(issuer.token(**claims))
        good = await knock(issuer.token(aud=[US, "https://other.example.com"]))
    assert (answer.status_code, says in answer.text) == (401, True)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert good.status_code == 200
    assert upstream.requests == []


def forged(claims: dict[str, Any], secret: bytes) -> str:
    """Signed with a shared secret that everybody knows: the public key."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=")
        for one in ({"alg": "HS256", "kid": "k1"}, claims)
    ]
    signature = hmac.new(secret, b".".join(parts), "sha256").digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def test_signatures_that_prove_nothing_are_refused(
    upstream: Upstream, issuer: JwksCache
) -> None:
    stranger = JwksCache(issuer.url)
    stranger.new_key("k1")
    claims = {
        "iss": issuer.url,
        "aud": US,
        "sub": "ana",
        "exp": int(time.time()) + 300,
        "scope": ALL,
    }
    public = (
        issuer.keys["k1"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    async with deployed(guarded(upstream, issuer)) as url, knocking(url) as knock:
        for token in (
            stranger.token(),
            jwt.encode(claims, "", "none", headers={"kid": "k1"}),
            forged(claims, public),
            issuer.token()[:-4] + "AAAA",
            "garbage",
            "a.b.c",
        ):
            assert (await knock(token)).status_code == 401


async def test_without_the_scope_to_read_there_is_a_challenge_for_it(
    upstream: Upstream, issuer: JwksCache
) -> None:
    async with deployed(guarded(upstream, issuer)) as url, knocking(url) as knock:
        answer = await knock(issuer.token("devin:write other"))
        as_list = await knock(issuer.token(scope=None, scp=["devin:read"]))
        odd = [await knock(issuer.token(scope=value)) for value in (5, {"devin:read": 1})]
        nobodys = await knock(issuer.token(sub=" "))
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"].startswith('Bearer error="insufficient_scope"')
    assert 'scope="devin:read"' in answer.headers["www-authenticate"]
    assert as_list.status_code == 200
    assert [one.status_code for one in odd] == [403, 403]
    assert nobodys.status_code == 401


async def test_keys_are_kept_rotated_and_withdrawn(
    upstream: Upstream, issuer: JwksCache, clock: AutoClock
) -> None:
    async with deployed(guarded(upstream, issuer), clock=clock) as url, knocking(url) as knock:
        for _ in range(3):
            assert (await knock(issuer.token())).status_code == 200
        assert issuer.asked.count("/tenant/keys") == 1
        issuer.new_key("k2")
        assert (await knock(issuer.token(key="k2"))).status_code == 401, "looked a moment ago"
        clock.skip(31)
        assert (await knock(issuer.token(key="k2"))).status_code == 200
        made_up = JwksCache(issuer.url)
        made_up.new_key("k9")
        before = len(issuer.asked)
        for _ in range(20):
            assert (await knock(made_up.token(key="k9"))).status_code == 401
        assert len(issuer.asked) == before, "made-up tokens do not make us ask"
        old = issuer.token(key="k1")
        del issuer.keys["k1"]
        clock.skip(601)
        assert (await knock(old)).status_code == 401


async def test_an_issuer_that_is_down_is_borne_with_and_at_first_is_a_503(
    upstream: Upstream, issuer: JwksCache, clock: AutoClock
) -> None:
    async with deployed(guarded(upstream, issuer), clock=clock) as url, knocking(url) as knock:
        issuer.down = True
        answer = await knock(issuer.token())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        issuer.down = False
        clock.skip(31)
        assert (await knock(issuer.token())).status_code == 200
        issuer.down = True
        clock.skip(3600)
        assert (await knock(issuer.token())).status_code == 200, "its keys of an hour ago"
        clock.skip(24 * 3600)
        assert (await knock(issuer.token())).status_code == 503


async def test_an_issuer_that_never_comes_to_an_end_keeps_nobody_for_long(
    upstream: Upstream, issuer: JwksCache
) -> None:
    issuer.dripping = True
    async with deployed(guarded(upstream, issuer)) as url, knocking(url) as knock:
        with anyio.fail_after(9):
            assert (await knock(issuer.token())).status_code == 503


async def test_where_the_keys_are_can_be_said(upstream: Upstream, issuer: JwksCache) -> None:
    here = guarded(upstream, issuer, oauth_jwks_url=f"{issuer.url}/keys", oauth_audience="devin")
    async with deployed(here) as url, knocking(url) as knock:
        assert (await knock(issuer.token(aud="devin"))).status_code == 200
        assert (await knock(issuer.token())).status_code == 401
    assert issuer.asked == ["/tenant/keys"]
