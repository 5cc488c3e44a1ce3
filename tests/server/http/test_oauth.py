"""--auth oauth: access tokens for this server; scopes decide which tools a caller has."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from devin_mcp.operations.catalog import DESTROY, READ, Effect
from devin_mcp.settings.toolsets import TOOLSETS
from tests.conftest import Era
from tests.declared import declared_tools
from tests.http_client import connect_over_http, start_http_server
from tests.server.http.fake_issuer import (
    ALL_SCOPES,
    PUBLIC_URL,
    READ_SCOPE,
    FakeIssuer,
    oauth_settings,
    posting,
)
from tests.server.http.raw_requests import bearer
from tests.upstream import KEY, V3_KEY, Upstream

Logs = Callable[[], list[dict[str, Any]]]


async def test_scopes_select_tools_and_the_token_is_not_passed_on(
    upstream: Upstream, issuer: FakeIssuer, era: Era, logs: Logs
) -> None:
    async with start_http_server(oauth_settings(upstream, issuer)) as url:
        for scope, effects, hidden in (
            (READ_SCOPE, {READ}, "devin_create_session"),
            ("devin:read devin:write", set(Effect) - {DESTROY}, "devin_terminate_session"),
            (ALL_SCOPES, set(Effect), ""),
        ):
            async with connect_over_http(url, bearer(issuer.token(scope)), era=era) as client:
                names = {tool.name for tool in (await client.sdk.list_tools()).tools}
                assert names == declared_tools(*effects, api="v1")
                assert hidden not in names
                if hidden:
                    text = await client.error(hidden.removeprefix("devin_"), session_id="devin-1")
                    assert "There is no tool" in text
                await client.ok("list_playbooks")
    assert {seen.headers["authorization"] for seen in upstream.requests} == {f"Bearer {KEY}"}
    calls = [line for line in logs() if line["event"] == "mcp_call"]
    assert {line["caller"] for line in calls} == {"ana"}
    assert "eyJ" not in str(logs())


async def test_scopes_select_the_tools_of_the_organization_api(
    upstream: Upstream, issuer: FakeIssuer
) -> None:
    settings = oauth_settings(upstream, issuer, toolsets="all", DEVIN_API_KEY=V3_KEY)
    async with start_http_server(settings) as url:
        for scope, effects, has_generate in (
            (READ_SCOPE, {READ}, False),
            ("devin:read devin:write", set(Effect) - {DESTROY}, True),
            (ALL_SCOPES, set(Effect), True),
        ):
            async with connect_over_http(url, bearer(issuer.token(scope))) as client:
                tools = {tool.name: tool for tool in (await client.sdk.list_tools()).tools}
            everything = frozenset(TOOLSETS)
            assert set(tools) == declared_tools(*effects, api="v3", toolsets=everything)
            insights = tools["devin_get_session_insights"].input_schema["properties"]
            assert ("generate" in insights) is has_generate


async def test_restriction_header_narrows_the_scopes_of_a_token(
    upstream: Upstream, issuer: FakeIssuer
) -> None:
    headers = bearer(issuer.token(ALL_SCOPES)) | {"X-Devin-Mcp-Read-Only": "true"}
    async with (
        start_http_server(oauth_settings(upstream, issuer)) as url,
        connect_over_http(url, headers) as client,
    ):
        names = {tool.name for tool in (await client.sdk.list_tools()).tools}
    assert names == declared_tools(READ)


@pytest.mark.parametrize("end", ["", "/mcp"])
async def test_challenge_names_the_protected_resource_metadata(
    upstream: Upstream, issuer: FakeIssuer, end: str
) -> None:
    path = "/.well-known/oauth-protected-resource/mcp"
    async with (
        start_http_server(oauth_settings(upstream, issuer)) as url,
        posting(url) as post,
        httpx.AsyncClient() as http,
    ):
        challenge = (await post(None)).headers["www-authenticate"]
        metadata = await http.get(url.replace("/mcp", path.replace("/mcp", end)))
    assert challenge.startswith("Bearer scope=")
    assert f'resource_metadata="https://mcp.example.com{path}"' in challenge
    assert metadata.json() == {
        "resource": PUBLIC_URL,
        "authorization_servers": [issuer.url],
        "scopes_supported": ["devin:read", "devin:write", "devin:destroy"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Devin",
    }


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"aud": "https://other.example.com/mcp"}, "meant for another server"),
        ({"aud": None}, "not valid here"),
        ({"iss": "https://evil.example"}, "not valid here"),
        ({"exp": 1000}, "has expired"),
        ({"exp": None}, "not valid here"),
        ({"sub": None}, "not valid here"),
        ({"sub": " "}, "not valid here"),
        ({"nbf": 32503680000}, "not valid here"),
    ],
)
async def test_token_with_wrong_claims_is_rejected(
    upstream: Upstream, issuer: FakeIssuer, claims: dict[str, Any], text: str
) -> None:
    async with start_http_server(oauth_settings(upstream, issuer)) as url, posting(url) as post:
        rejected = await post(issuer.token(**claims))
        accepted = await post(issuer.token(aud=[PUBLIC_URL, "https://other.example.com"]))
    assert (rejected.status_code, text in rejected.text) == (401, True)
    assert 'error="invalid_token"' in rejected.headers["www-authenticate"]
    assert accepted.status_code == 200
    assert upstream.requests == []


def forge_token(claims: dict[str, Any], secret: bytes) -> str:
    """A token signed with HS256 and a secret that everybody knows: the issuer's public key."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "k1"}, claims)
    ]
    signature = hmac.new(secret, b".".join(parts), "sha256").digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def test_token_with_invalid_signature_is_rejected(
    upstream: Upstream, issuer: FakeIssuer
) -> None:
    impostor = FakeIssuer(issuer.url)
    impostor.new_key("k1")
    claims = {
        "iss": issuer.url,
        "aud": PUBLIC_URL,
        "sub": "ana",
        "exp": int(time.time()) + 300,
        "scope": ALL_SCOPES,
    }
    public_key = issuer.keys["k1"].public_key()
    pem = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    tokens = (
        impostor.token(),
        jwt.encode(claims, "", "none", headers={"kid": "k1"}),
        forge_token(claims, pem),
        issuer.token()[:-4] + "AAAA",
        "garbage",
        "a.b.c",
    )
    async with start_http_server(oauth_settings(upstream, issuer)) as url, posting(url) as post:
        for token in tokens:
            assert (await post(token)).status_code == 401, token
        assert (await post(issuer.token())).status_code == 200


async def test_token_without_read_scope_gets_insufficient_scope(
    upstream: Upstream, issuer: FakeIssuer
) -> None:
    async with start_http_server(oauth_settings(upstream, issuer)) as url, posting(url) as post:
        response = await post(issuer.token("devin:write other"))
    assert response.status_code == 403
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope"')
    assert 'scope="devin:read"' in challenge


async def test_scopes_may_be_a_list_and_other_types_grant_nothing(
    upstream: Upstream, issuer: FakeIssuer
) -> None:
    async with start_http_server(oauth_settings(upstream, issuer)) as url, posting(url) as post:
        as_list = await post(issuer.token(scope=None, scp=["devin:read"]))
        others = [await post(issuer.token(scope=value)) for value in (5, {"devin:read": 1})]
    assert as_list.status_code == 200
    assert [response.status_code for response in others] == [403, 403]
