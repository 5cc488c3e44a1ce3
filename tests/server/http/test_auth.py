"""Authentication: whose key serves a request and who is rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from devin_mcp.server.http.limits import REVALIDATE_SECONDS
from tests.conftest import Connect, Era, settings_for
from tests.e2e.processes import start_http_process
from tests.http_client import INITIALIZE, connect_over_http, start_http_server
from tests.server.http.conftest import ANA_TOKEN, BEN_TOKEN, token_line
from tests.server.http.raw_requests import bearer, error_message, post_ping
from tests.upstream import KEY, Upstream

Logs = Callable[[], list[dict[str, Any]]]


async def test_caller_key_is_the_key_sent_to_devin(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        for key in ("apk_user_one_1111", "apk_user_two_2222"):
            async with connect_over_http(url, {"X-Devin-Api-Key": key}) as client:
                await client.ok("list_playbooks")
    sent = [seen.headers["authorization"] for seen in upstream.requests]
    assert sent == ["Bearer apk_user_one_1111", "Bearer apk_user_two_2222"]
    assert all("x-devin-api-key" not in seen.headers for seen in upstream.requests)


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({}, 403, "in the header X-Devin-Api-Key"),
        ({"x_devin_api_key": "ghp_something"}, 403, "no Devin API key"),
        ({"x_devin_api_key": "apk_"}, 403, "no Devin API key"),
        ({"x_devin_api_key": "apk_" + "a" * 600}, 403, "no Devin API key"),
        ({"authorization": f"Bearer {KEY}"}, 400, "was sent in Authorization"),
        (
            {"authorization": f"Bearer\t{KEY}"},
            400,
            "was sent in Authorization",
        ),
        ({"authorization": KEY}, 400, "was sent in Authorization"),
    ],
)
async def test_request_without_valid_caller_key_is_rejected(
    upstream: Upstream, headers: dict[str, str], status: int, text: str
) -> None:
    """The server's own key is not used instead, and nothing starts OAuth discovery in a client."""
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        response = await post_ping(url, **headers)
    assert (response.status_code, text in error_message(response)) == (status, True)
    assert "www-authenticate" not in response.headers
    assert "0123456789" not in response.text
    assert upstream.requests == []


async def test_client_shows_why_it_was_rejected(upstream: Upstream, era: Era) -> None:
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        with pytest.raises(BaseException) as error:  # noqa: PT011 - its type depends on the era
            async with connect_over_http(url, era=era):
                pass
    assert "X-Devin-Api-Key" in str(error.getrepr())


async def test_refused_key_is_explained_with_advice_for_callers(upstream: Upstream) -> None:
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        connect_over_http(url, {"X-Devin-Api-Key": "cog_abcdefgh"}) as client,
    ):
        text = await client.error("list_playbooks")
    assert "does not accept this API key (403)" in text
    assert "X-Devin-Api-Key" in text
    assert "DEVIN_API_KEY" not in text


async def test_callers_with_tokens_share_the_server_key_and_are_logged_by_name(
    upstream: Upstream, tokens_file: Path, logs: Logs
) -> None:
    settings = settings_for(upstream, auth="token", caller_tokens_file=tokens_file)
    async with start_http_server(settings) as url:
        async with (
            connect_over_http(url, bearer(ANA_TOKEN)) as ana,
            connect_over_http(url, bearer(BEN_TOKEN)) as ben,
        ):
            await ana.ok("list_playbooks")
            await ben.error("get_session", session_id="devin-no")
        with_wrong_token = await post_ping(url, authorization="Bearer guess")
        without_token = await post_ping(url)
    assert {seen.headers["authorization"] for seen in upstream.requests} == {f"Bearer {KEY}"}
    for response in (with_wrong_token, without_token):
        assert (response.status_code, "www-authenticate" in response.headers) == (403, False)
        assert "it is not a Devin API key" in error_message(response)
    lines = [line for line in logs() if line["event"] in {"mcp_call", "api_request"}]
    assert [(line["event"], line["caller"]) for line in lines] == [
        ("api_request", "ana"),
        ("mcp_call", "ana"),
        ("api_request", "ben"),
        ("mcp_call", "ben"),
    ]
    rejections = [line for line in logs() if line["event"] == "http_rejected"]
    assert [(line["reason"], line["status"], line["peer"]) for line in rejections] == [
        ("unknown_token", 403, "127.0.0.1"),
        ("no_token", 403, "127.0.0.1"),
    ]
    assert ANA_TOKEN not in str(logs())


async def test_revoked_token_closes_listen_stream(
    upstream: Upstream, tokens_file: Path, logs: Logs
) -> None:
    settings = settings_for(upstream, auth="token", caller_tokens_file=tokens_file)
    async with (
        start_http_server(settings, revalidate_seconds=0.1) as url,
        connect_over_http(url, bearer(BEN_TOKEN)) as ben,
        ben.sdk.listen(resource_subscriptions=["devin://playbooks"]) as events,
    ):
        tokens_file.write_text(token_line("ana", ANA_TOKEN))
        with (
            anyio.fail_after(10),
            pytest.raises(Exception),  # noqa: B017, PT011 - the SDK documents no exception
        ):
            async for _ in events:
                pass
            raise ConnectionError  # a stream may also end without an error
    (closed,) = [line for line in logs() if line["event"] == "stream_closed"]
    assert (closed["why"], closed["caller"], closed["peer"]) == ("credential", "ben", "127.0.0.1")
    assert not [line for line in logs() if line["level"] == "error"], "a whole answer"
    assert REVALIDATE_SECONDS == 5, "docs/operating.md says so"


async def test_caller_key_is_needed_in_addition_to_the_token(
    upstream: Upstream, tokens_file: Path
) -> None:
    settings = settings_for(upstream, auth="caller-key", caller_tokens_file=tokens_file)
    headers = bearer(ANA_TOKEN) | {"X-Devin-Api-Key": "apk_anas_own_key"}
    async with start_http_server(settings) as url:
        assert "bearer token" in error_message(await post_ping(url, x_devin_api_key=KEY))
        without_key = await post_ping(url, authorization=f"Bearer {ANA_TOKEN}")
        assert "X-Devin-Api-Key" in error_message(without_key)
        async with connect_over_http(url, headers) as client:
            await client.ok("list_playbooks")
    sent = [seen.headers["authorization"] for seen in upstream.requests]
    assert sent == ["Bearer apk_anas_own_key"]


async def test_caller_key_is_rejected_where_it_would_not_be_used(
    upstream: Upstream, tokens_file: Path
) -> None:
    """A caller who sends a key expects it to be used, and not to spend the operator's ACUs."""
    for settings in (
        settings_for(upstream),
        settings_for(upstream, auth="token", caller_tokens_file=tokens_file),
    ):
        async with start_http_server(settings) as url:
            response = await post_ping(
                url, x_devin_api_key="apk_my_own_key", authorization=f"Bearer {ANA_TOKEN}"
            )
        assert (response.status_code, "would be ignored" in error_message(response)) == (400, True)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("trusted_proxies", "peer"), [("127.0.0.1", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1")]
)
async def test_rejection_logs_the_forwarded_address_of_a_trusted_proxy(
    trusted_proxies: str, peer: str
) -> None:
    async with start_http_process(
        "--sandbox", "--auth", "caller-key", "--forwarded-allow-ips", trusted_proxies
    ) as (server, url):
        await post_ping(url, x_forwarded_for="203.0.113.9")
        assert (await server.wait_for_log("http_rejected"))["peer"] == peer


async def test_credential_header_sent_twice_is_rejected(upstream: Upstream) -> None:
    headers = [("x-devin-api-key", "apk_one_aaaa"), ("x-devin-api-key", "apk_two_bbbb")]
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        httpx.AsyncClient() as http,
    ):
        response = await http.post(url, json=INITIALIZE, headers=headers)
    assert (response.status_code, "sent twice" in error_message(response)) == (400, True)


async def test_unknown_host_or_origin_is_rejected(upstream: Upstream) -> None:
    settings = settings_for(
        upstream, allowed_hosts="mcp.example.com", allowed_origins="https://app.example.com"
    )
    async with start_http_server(settings) as url:
        for host, status in (
            ("mcp.example.com", 200),
            ("mcp.example.com:8443", 200),
            ("MCP.example.com", 200),
            ("evil.example", 421),
            ("mcp.example.com.evil.example", 421),
            ("localhost:1", 200),
        ):
            assert (await post_ping(url, host=host)).status_code == status, host
        for origin, status in (
            ("https://app.example.com", 200),
            ("https://app.example.com:8443", 403),
            ("http://app.example.com", 403),
            ("https://evil.example", 403),
            ("null", 403),
            ("http://localhost:5173", 200),
        ):
            assert (await post_ping(url, origin=origin)).status_code == status, origin


async def test_client_in_memory_uses_the_server_key(connect: Connect, upstream: Upstream) -> None:
    async with connect(transport="http") as client:
        await client.ok("list_playbooks")
    assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"
