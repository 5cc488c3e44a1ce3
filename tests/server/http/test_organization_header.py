"""The organization of a caller's key over HTTP: X-Devin-Org-Id."""

from __future__ import annotations

import pytest

from devin_mcp.keys import KEY_HEADER, LOGIN_TOKEN_PREFIX, ORG_ID_HEADER
from tests.conftest import settings_for
from tests.http_client import connect_over_http, start_http_server
from tests.server.http.raw_requests import error_message, post_ping
from tests.upstream import KEY, V3_KEY, Upstream

ENTERPRISE_KEY = V3_KEY.replace("cog_sandbox", "cog_sandbox_enterprise")
"""Has the organizations org-sandbox and org-sandbox-second."""


async def test_caller_chooses_the_organization_by_header(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        ids = {}
        for org_id in ("org-sandbox", "org-sandbox-second"):
            headers = {KEY_HEADER: ENTERPRISE_KEY, ORG_ID_HEADER: org_id}
            async with connect_over_http(url, headers) as client:
                ids[org_id] = await client.create_session()
                listed = await client.ok("list_sessions")
            assert [row["session_id"] for row in listed["sessions"]] == [ids[org_id]]
    assert upstream.sent("get_self") == []


async def test_same_idempotency_key_in_two_organizations_is_two_sessions(
    upstream: Upstream,
) -> None:
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        sessions = set()
        for org_id in ("org-sandbox", "org-sandbox-second"):
            headers = {KEY_HEADER: ENTERPRISE_KEY, ORG_ID_HEADER: org_id}
            async with connect_over_http(url, headers) as client:
                for _ in range(2):
                    task = {"prompt": "p", "idempotency_key": "k"}
                    sessions.add((await client.ok("delegate_task", **task))["session_id"])
    assert len(sessions) == 2


async def test_found_and_chosen_organization_share_an_idempotency_key(upstream: Upstream) -> None:
    """A client that names the organization must not start what another one has started."""
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        sessions = set()
        for headers in ({}, {ORG_ID_HEADER: "org-sandbox"}):
            async with connect_over_http(url, {KEY_HEADER: V3_KEY, **headers}) as client:
                task = {"prompt": "p", "idempotency_key": "k"}
                sessions.add((await client.ok("delegate_task", **task))["session_id"])
    assert len(sessions) == 1
    assert len(upstream.sent("create_session")) == 1


async def test_operator_sets_the_organization_of_callers_that_name_none(
    upstream: Upstream,
) -> None:
    settings = settings_for(upstream, auth="caller-key", org_id="org-sandbox-second")
    async with (
        start_http_server(settings) as url,
        connect_over_http(url, {KEY_HEADER: ENTERPRISE_KEY}) as client,
    ):
        await client.ok("list_sessions")
    assert "/org-sandbox-second/" in upstream.sent("list_sessions")[0].path


@pytest.mark.parametrize(
    ("auth", "headers", "says"),
    [
        ("caller-key", {KEY_HEADER: V3_KEY, ORG_ID_HEADER: "../x"}, "must be an organization's id"),
        ("none", {ORG_ID_HEADER: "org-sandbox"}, "would be ignored"),
        ("caller-key", {KEY_HEADER: f"{LOGIN_TOKEN_PREFIX}abc"}, "login token of the Devin CLI"),
    ],
)
async def test_unusable_header_is_refused_with_the_reason(
    upstream: Upstream, auth: str, headers: dict[str, str], says: str
) -> None:
    async with start_http_server(settings_for(upstream, auth=auth)) as url:
        response = await post_ping(url, **headers)
    assert response.status_code in {400, 403}
    assert says in error_message(response)
    assert "abc" not in response.text
    assert upstream.requests == []


async def test_organization_of_a_v1_key_is_ignored(upstream: Upstream) -> None:
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        connect_over_http(url, {KEY_HEADER: KEY, ORG_ID_HEADER: "org-other"}) as client,
    ):
        await client.ok("list_sessions")
    assert upstream.requests[-1].path == "/v1/sessions"
