"""Who may call, with whose key, and what a caller may do without."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from devin_mcp.server.http.serve import allowed_hosts_for, allowed_origins_for, authenticator_for
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import TOOLSETS, resolve
from tests.conftest import Connect, Era, settings_for, text_of
from tests.e2e.processes import serving
from tests.http_client import ACCEPT, PING, deployed, visiting
from tests.upstream import KEY, Upstream

Logs = Callable[[], list[dict[str, Any]]]
ANAS, BENS = "anas-token-0001", "bens-token-0002"


def line(name: str, token: str) -> str:
    return f"{name}:{hashlib.sha256(token.encode()).hexdigest()}\n"


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"# who may call\n\n{line('ana', ANAS)}{line('ben', BENS)}")
    return file


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def knock(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=10) as web:
        return await web.post(
            url,
            json=PING,
            headers=ACCEPT | {name.replace("_", "-"): value for name, value in headers.items()},
        )


def said(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


async def test_each_caller_is_served_with_their_own_key(upstream: Upstream, era: Era) -> None:
    async with deployed(settings_for(upstream, auth="caller-key")) as url:
        for key in ("apk_user_one_1111", "apk_user_two_2222"):
            async with visiting(url, {"X-Devin-Api-Key": key}, era=era) as client:
                await client.ok("list_playbooks")
    sent = [seen.headers["authorization"] for seen in upstream.requests]
    assert sent == ["Bearer apk_user_one_1111", "Bearer apk_user_two_2222"]
    assert all("x-devin-api-key" not in seen.headers for seen in upstream.requests)


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({}, 403, "in the header X-Devin-Api-Key"),
        ({"x_devin_api_key": "ghp_something"}, 403, "no Devin API key"),
        ({"x_devin_api_key": "apk_" + "a" * 600}, 403, "no Devin API key"),
        ({"authorization": "Bearer apk_user_test_0123456789"}, 400, "was sent in Authorization"),
        ({"authorization": "Bearer\tapk_user_test_0123456789"}, 400, "was sent in Authorization"),
        ({"authorization": "apk_user_test_0123456789"}, 400, "was sent in Authorization"),
    ],
)
async def test_without_a_key_of_ones_own_nobody_is_served(
    upstream: Upstream, headers: dict[str, str], status: int, says: str
) -> None:
    """The server has a key, which is never used for anybody; and nothing here starts a host's OAuth discovery."""
    async with deployed(settings_for(upstream, auth="caller-key")) as url:
        answer = await knock(url, **headers)
    assert (answer.status_code, says in said(answer)) == (status, True)
    assert "www-authenticate" not in answer.headers
    assert "0123456789" not in answer.text
    assert upstream.requests == []


async def test_a_client_shows_why_it_was_turned_away(upstream: Upstream, era: Era) -> None:
    async with deployed(settings_for(upstream, auth="caller-key")) as url:
        with pytest.raises(BaseException) as trouble:  # noqa: PT011 - a group, whose kind depends on the era
            async with visiting(url, era=era):
                pass
    assert "X-Devin-Api-Key" in str(trouble.getrepr())


async def test_a_key_of_another_api_and_a_wrong_one_are_told_where_keys_go(
    upstream: Upstream,
) -> None:
    async with deployed(settings_for(upstream, auth="caller-key")) as url:
        for key, says in (("cog_abcdefgh", "not served yet"), ("apk_", "no Devin API key")):
            async with httpx.AsyncClient() as web:
                answer = await web.post(url, json=PING, headers={"x-devin-api-key": key})
                if answer.status_code == 403:
                    assert says in said(answer)
                    continue
            async with visiting(url, {"X-Devin-Api-Key": key}) as client:
                text = await client.error("list_playbooks")
                assert says in text
                assert "X-Devin-Api-Key" in text
                assert "DEVIN_API_KEY" not in text


async def test_callers_with_a_token_share_the_servers_key_and_are_named_in_the_log(
    upstream: Upstream, tokens: Path, logs: Logs, era: Era
) -> None:
    async with deployed(settings_for(upstream, auth="token", caller_tokens_file=tokens)) as url:
        async with (
            visiting(url, bearer(ANAS), era=era) as ana,
            visiting(url, bearer(BENS), era=era) as ben,
        ):
            await ana.ok("list_playbooks")
            await ben.error("get_playbook", playbook_id="nope")
        refused = await knock(url, authorization="Bearer guess")
        without = await knock(url)
    assert {seen.headers["authorization"] for seen in upstream.requests} == {f"Bearer {KEY}"}
    for answer in (refused, without):
        assert (answer.status_code, "www-authenticate" in answer.headers) == (403, False)
        assert "it is not a Devin API key" in said(answer)
    lines = [one for one in logs() if one["event"] in {"mcp_call", "api_request"}]
    assert [(one["event"], one["caller"]) for one in lines] == [
        ("api_request", "ana"),
        ("mcp_call", "ana"),
        ("api_request", "ben"),
        ("mcp_call", "ben"),
    ]
    turned_away = [one for one in logs() if one["event"] == "http_rejected"]
    assert [(one["reason"], one["status"], one["peer"]) for one in turned_away] == [
        ("no_token", 403, "127.0.0.1")
    ] * 2
    assert ANAS not in str(logs())


async def test_the_tokens_are_read_again_when_the_file_changes(
    upstream: Upstream, tokens: Path, logs: Logs
) -> None:
    async with deployed(settings_for(upstream, auth="token", caller_tokens_file=tokens)) as url:

        async def status(token: str) -> int:
            return (await knock(url, authorization=f"Bearer {token}")).status_code

        assert (await status(ANAS), await status("carlas")) == (200, 403)
        fresh = tokens.with_name("fresh")
        fresh.write_text(line("carla", "carlas"))
        fresh.replace(tokens)  # as a cluster replaces a mounted secret
        assert (await status(ANAS), await status("carlas")) == (403, 200)
        tokens.write_text("carla:not a digest\n")
        assert (await status("carlas"), await status(ANAS)) == (200, 403), (
            "a bad edit lets nobody in and locks nobody out"
        )
        tokens.unlink()
        assert await status("carlas") == 200
        tokens.write_text("")
        assert await status("carlas") == 200, "it may be just being written"
        tokens.write_text("# nobody\n")
        assert await status("carlas") == 403
    reasons = [
        one.get("reason") for one in logs() if one["event"] == "caller_tokens" and "reason" in one
    ]
    assert reasons == [
        "line 1 is not name:sha256, with the digest as 64 hexadecimal digits",
        "No such file or directory",
        "it is empty, as a file is while it is being written; to admit no caller, put a comment in it",
    ]


async def test_a_file_that_a_cluster_mounts_is_read_again(
    upstream: Upstream, tmp_path: Path
) -> None:
    """Such a file is a link to a link to a directory, and an update swaps the one in the middle and removes the old directory."""

    def write(version: str, content: str) -> None:
        (tmp_path / version).mkdir()
        (tmp_path / version / "callers").write_text(content)
        (tmp_path / "fresh").symlink_to(version)
        (tmp_path / "fresh").rename(tmp_path / "..data")

    write("..v1", line("ben", BENS))
    (tmp_path / "callers").symlink_to("..data/callers")
    async with deployed(
        settings_for(upstream, auth="token", caller_tokens_file=tmp_path / "callers")
    ) as url:
        assert (await knock(url, authorization=f"Bearer {BENS}")).status_code == 200
        write("..v2", line("ana", ANAS))
        (tmp_path / "..v1" / "callers").unlink()
        (tmp_path / "..v1").rmdir()
        assert (await knock(url, authorization=f"Bearer {BENS}")).status_code == 403
        assert (await knock(url, authorization=f"Bearer {ANAS}")).status_code == 200


async def test_who_is_not_let_in_any_more_hears_nothing_more(
    upstream: Upstream, tokens: Path
) -> None:
    here = settings_for(upstream, auth="token", caller_tokens_file=tokens)
    async with (
        deployed(here) as url,
        visiting(url, bearer(BENS)) as ben,
        ben.sdk.listen(resource_subscriptions=["devin://playbooks"]) as events,
    ):
        tokens.write_text(line("ana", ANAS))
        with anyio.fail_after(10), pytest.raises(Exception):  # noqa: B017, PT011 - how a stream that is cut looks
            async for _ in events:
                pass
            raise ConnectionError  # an end without trouble is one, too


async def test_a_token_in_front_does_not_replace_ones_own_key(
    upstream: Upstream, tokens: Path
) -> None:
    async with deployed(
        settings_for(upstream, auth="caller-key", caller_tokens_file=tokens)
    ) as url:
        assert "bearer token" in said(await knock(url, x_devin_api_key=KEY))
        assert "X-Devin-Api-Key" in said(await knock(url, authorization=f"Bearer {ANAS}"))
        async with visiting(url, {**bearer(ANAS), "X-Devin-Api-Key": "apk_anas_own_key"}) as client:
            await client.ok("list_playbooks")
    assert [seen.headers["authorization"] for seen in upstream.requests] == [
        "Bearer apk_anas_own_key"
    ]


async def test_a_key_that_would_be_ignored_is_refused(upstream: Upstream, tokens: Path) -> None:
    """Who sends a key expects to be served with it, and not to spend the operator's ACUs."""
    for here in (
        settings_for(upstream),
        settings_for(upstream, auth="token", caller_tokens_file=tokens),
    ):
        async with deployed(here) as url:
            answer = await knock(
                url, x_devin_api_key="apk_my_own_key", authorization=f"Bearer {ANAS}"
            )
        assert (answer.status_code, "would be ignored" in said(answer)) == (400, True)
    assert upstream.requests == []


async def test_who_was_turned_away_is_named_behind_a_proxy_that_is_believed(logs: Logs) -> None:
    for believed, peer in (("127.0.0.1", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1")):
        async with serving(
            "--sandbox", "--auth", "caller-key", "--forwarded-allow-ips", believed
        ) as (server, url):
            await knock(url, x_forwarded_for="203.0.113.9")
            assert (await server.logged("http_rejected"))["peer"] == peer


async def test_headers_that_say_who_you_are_may_not_be_sent_twice(upstream: Upstream) -> None:
    async with (
        deployed(settings_for(upstream, auth="caller-key")) as url,
        httpx.AsyncClient() as web,
    ):
        twice = [("x-devin-api-key", "apk_one_aaaa"), ("x-devin-api-key", "apk_two_bbbb")]
        answer = await web.post(url, json=PING, headers=twice)
    assert (answer.status_code, "sent twice" in said(answer)) == (400, True)


NARROWED = [
    (
        {"x-devin-mcp-read-only": "true"},
        {"devin_list_sessions", "devin_list_secrets"},
        {"devin_create_session", "devin_delete_secret"},
    ),
    (
        {"X-Devin-Mcp-Toolsets": "secrets, knowledge"},
        {"devin_list_secrets", "devin_create_knowledge"},
        {"devin_list_sessions"},
    ),
    (
        {"X-Devin-Mcp-Toolsets": "secrets", "X-Devin-Mcp-Read-Only": "1"},
        {"devin_list_secrets"},
        {"devin_create_secret"},
    ),
    ({"x-devin-mcp-read-only": "false"}, {"devin_create_session"}, set()),
]


@pytest.mark.parametrize(("headers", "there", "gone"), NARROWED)
async def test_a_caller_may_do_without_and_what_is_gone_is_unknown(
    upstream: Upstream, era: Era, headers: dict[str, str], there: set[str], gone: set[str]
) -> None:
    async with deployed(settings_for(upstream)) as url, visiting(url, headers, era=era) as client:
        tools = (await client.sdk.list_tools()).tools
        names = {tool.name for tool in tools}
        assert there <= names
        assert not gone & names
        told = client.sdk.instructions or ""
        for tool in gone:
            assert tool not in told + "".join(one.description or "" for one in tools)
            hidden = await client.sdk.call_tool(tool, {"session_id": "devin-1"})
            unknown = await client.sdk.call_tool("devin_fly", {"session_id": "devin-1"})
            assert text_of(hidden).replace(tool, "x") == text_of(unknown).replace("devin_fly", "x")
    assert upstream.requests == []


async def test_narrowing_reaches_resources_prompts_completions_and_watching(
    upstream: Upstream,
) -> None:
    from mcp import MCPError
    from mcp.types import ResourceTemplateReference

    async with (
        deployed(settings_for(upstream)) as url,
        visiting(url, {"X-Devin-Mcp-Toolsets": "knowledge"}) as client,
    ):
        assert {str(one.uri).split("/")[2] for one in await client.resources()} == {"knowledge"}
        templates = (await client.sdk.list_resource_templates()).resource_templates
        assert [one.uri_template for one in templates] == ["devin://knowledge/{note_id}"]
        assert (await client.sdk.list_prompts()).prompts == []
        for uri in ("devin://playbooks/playbook-0001", "devin://sessions"):
            with pytest.raises(MCPError, match=r"Unknown resource|Resource not found"):
                await client.read(uri)
        with pytest.raises(MCPError):
            await client.sdk.complete(
                ResourceTemplateReference(
                    type="ref/resource", uri="devin://playbooks/{playbook_id}"
                ),
                {"name": "playbook_id", "value": "f"},
            )
        async with client.sdk.listen(
            resource_subscriptions=["devin://sessions/devin-1", "devin://knowledge"]
        ) as events:
            honored = events.honored.resource_subscriptions
    assert honored == ["devin://knowledge"]
    assert {seen.path for seen in upstream.requests} == {"/v1/knowledge"}


async def test_the_operators_word_stands_whatever_a_caller_wishes(upstream: Upstream) -> None:
    wishes = {"X-Devin-Mcp-Read-Only": "false", "X-Devin-Mcp-Toolsets": ",".join(TOOLSETS)}
    async with (
        deployed(settings_for(upstream, read_only=True, toolsets="playbooks")) as url,
        visiting(url, wishes) as client,
    ):
        names = {tool.name for tool in (await client.sdk.list_tools()).tools}
    assert names == {"devin_list_playbooks", "devin_get_playbook"}


@pytest.mark.parametrize(
    "headers",
    [
        {"x_devin_mcp_read_only": "perhaps"},
        {"x_devin_mcp_toolsets": "sessions,planes"},
        {"x_devin_mcp_toolsets": ","},
    ],
)
async def test_a_wish_nobody_understands_is_a_400(
    upstream: Upstream, headers: dict[str, str]
) -> None:
    async with deployed(settings_for(upstream)) as url:
        assert (await knock(url, **headers)).status_code == 400


async def test_pages_of_strangers_and_other_names_are_turned_away(upstream: Upstream) -> None:
    here = settings_for(
        upstream, allowed_hosts="mcp.example.com", allowed_origins="https://app.example.com"
    )
    async with deployed(here) as url:
        for host, status in (
            ("mcp.example.com", 200),
            ("mcp.example.com:8443", 200),
            ("MCP.example.com", 200),
            ("evil.example", 421),
            ("mcp.example.com.evil.example", 421),
            ("localhost:1", 200),
        ):
            assert (await knock(url, host=host)).status_code == status, host
        for origin, status in (
            ("https://app.example.com", 200),
            ("https://app.example.com:8443", 403),
            ("http://app.example.com", 403),
            ("https://evil.example", 403),
            ("null", 403),
            ("http://localhost:5173", 200),
        ):
            assert (await knock(url, origin=origin)).status_code == status, origin


async def test_a_browser_is_told_so_for_named_origins_only(upstream: Upstream) -> None:
    ask = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-devin-api-key,mcp-protocol-version",
    }
    here = settings_for(upstream, auth="caller-key", allowed_origins="https://app.example.com")
    async with deployed(here) as url, httpx.AsyncClient() as web:
        mine = await web.options(url, headers={**ask, "origin": "https://app.example.com"})
        other = await web.options(url, headers={**ask, "origin": "https://evil.example"})
        refused = await web.post(url, json=PING, headers={"origin": "https://app.example.com"})
    assert (mine.status_code, mine.headers["access-control-allow-origin"]) == (
        200,
        "https://app.example.com",
    )
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (400, False)
    assert refused.headers["access-control-allow-origin"] == "https://app.example.com", (
        "so that the page can read why"
    )


@pytest.mark.parametrize(
    ("given", "hosts", "origins"),
    [
        (
            {},
            {"127.0.0.1", "localhost", "[::1]"},
            ["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"],
        ),
        ({"host": "0.0.0.0", "auth": "caller-key"}, None, []),  # noqa: S104 - nothing is opened
        (
            {"host": "0.0.0.0", "auth": "caller-key", "public_url": "https://mcp.example.com/mcp"},
            {"mcp.example.com"},
            [],
        ),
        (
            {"host": "::1"},
            {"127.0.0.1", "localhost", "[::1]"},
            ["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"],
        ),
    ],
)
def test_the_names_a_request_may_be_addressed_to(
    given: dict[str, str], hosts: set[str] | None, origins: list[str]
) -> None:
    here = resolve({name: [value] for name, value in given.items()}, {})
    assert (allowed_hosts_for(here), allowed_origins_for(here)) == (hosts, origins)


@pytest.mark.parametrize(
    ("content", "says"),
    [("ana\n", "line 1"), ("ana:12\n", "line 1"), ("\xff", "")],
)
def test_a_file_that_cannot_be_used_is_said_at_the_start(
    tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "t"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsError, match=f"--caller-tokens-file cannot be used: .*{says}"):
        authenticator_for(resolve({"auth": ["token"], "caller_tokens_file": [str(file)]}, {}))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"auth": "token"}, "--caller-tokens-file"),
        ({"auth": "oauth"}, "--oauth-issuer"),
        ({"auth": "oauth", "oauth_issuer": "https://a.b"}, "--public-url"),
    ],
)
def test_a_mode_says_what_it_lacks(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        authenticator_for(resolve({name: [value] for name, value in given.items()}, {}))


async def test_in_memory_everybody_is_the_servers_own(connect: Connect, upstream: Upstream) -> None:
    async with connect(transport="http") as client:
        await client.ok("list_playbooks")
    assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"
