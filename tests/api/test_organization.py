"""The organization of a v3 key: found once, chosen, or an error that says how to choose."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import KEYS, Upstream, answer, delay_reply

pytestmark = pytest.mark.one_api("v3", reason="v1 has no organizations.")

KEY = KEYS["v3"]
PAT_KEY = KEY.replace("sandbox", "sandbox_pat")
ENTERPRISE_KEY = KEY.replace("sandbox", "sandbox_enterprise")
SERVICE_USER = {"principal_type": "service_user", "service_user_name": "s"}


def organizations(*org_ids: str) -> dict[str, Any]:
    rows = [{"org_id": org_id, "name": f"Name of {org_id}"} for org_id in org_ids]
    return {"items": rows, "end_cursor": None, "has_next_page": False}


async def test_concurrent_first_calls_read_self_once(connect: Connect, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.fail_operation("get_self", delay_reply(gate))
    async with connect() as client:
        calls = [asyncio.ensure_future(client.ok("list_secrets")) for _ in range(20)]
        await upstream.wait_for_operation("get_self")
        calls[0].cancel()  # the others go on without the first
        gate.set()
        await asyncio.gather(*calls[1:])
        await client.ok("list_playbooks")
    assert len(upstream.sent("get_self")) == 1
    assert upstream.sent("list_secrets")[0].path == "/v3/organizations/org-sandbox/secrets"


async def test_organization_is_remembered_for_good(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        await client.ok("list_secrets")
        clock.skip(100_000)
        await client.ok("list_secrets")
    assert len(upstream.sent("get_self")) == 1


async def test_failed_search_is_not_remembered(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("get_self", answer(500))
    async with connect() as client:
        text = await client.error("create_session", prompt="p")
        assert "Which organization the key is for could not be read." in text
        assert "Nothing was changed; it is safe to try again." in text
        await client.ok("create_session", prompt="p")
    assert len(upstream.sent("get_self")) == 2
    assert len(upstream.organization.sessions) == 1


async def test_search_ends_with_the_deadline_of_the_call(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.fail_operation("get_self", delay_reply(gate))
    async with connect(deadline=0.3) as client:
        text = await client.error("create_session", prompt="p")
        gate.set()
    assert "organization the key is for" in text
    assert "safe to try again" in text
    assert upstream.organization.sessions == {}


async def test_chosen_organization_needs_no_look_up(connect: Connect, upstream: Upstream) -> None:
    async with connect(DEVIN_ORG_ID="org-sandbox") as client:
        await client.ok("list_secrets")
    assert upstream.sent("get_self") == []
    assert [request.path for request in upstream.requests] == [
        "/v3/organizations/org-sandbox/secrets"
    ]


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ({"principal_type": "pat_user", "devin_sessions_org_id": "org-sandbox"}, "org-sandbox"),
        (
            {
                "principal_type": "pat_user",
                "org_id": "org-home",
                "devin_sessions_org_id": "org-sandbox",
            },
            "org-sandbox",
        ),
        ({"principal_type": "pat_user", "org_id": "org-home"}, "org-home"),
        (SERVICE_USER | {"org_id": "org-sandbox", "news": [1]}, "org-sandbox"),
    ],
)
async def test_sessions_are_where_self_says(
    connect: Connect, upstream: Upstream, principal: dict[str, Any], expected: str
) -> None:
    upstream.fail_operation("get_self", answer(200, principal))
    async with connect() as client:
        await client("list_secrets")
    assert upstream.sent("list_secrets")[0].path == f"/v3/organizations/{expected}/secrets"
    assert upstream.sent("list_organizations") == []


async def test_personal_token_works_in_its_sessions_organization(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(DEVIN_API_KEY=PAT_KEY) as client:
        await client.create_session()
    assert len(upstream.organization.sessions) == 1
    assert upstream.sent("list_organizations") == []


async def test_token_whose_organization_is_not_said_names_the_setting(
    connect: Connect, upstream: Upstream
) -> None:
    """Devin refuses a person the list of organizations."""
    upstream.fail_operation("get_self", answer(200, {"principal_type": "pat_user"}))
    async with connect(DEVIN_API_KEY=PAT_KEY) as client:
        text = await client.error("create_session", prompt="p")
    assert "Devin does not say which organization this key is for." in text
    assert "Set DEVIN_ORG_ID or --org-id" in text
    assert "Nothing was changed" in text
    assert upstream.sent("create_session") == []


async def test_only_organization_of_an_enterprise_key_is_taken(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("list_organizations", answer(200, organizations("org-sandbox")))
    async with connect(DEVIN_API_KEY=ENTERPRISE_KEY) as client:
        await client.ok("list_secrets")
        await client.ok("list_secrets")
    assert len(upstream.sent("list_organizations")) == 1


@pytest.mark.parametrize(
    ("org_ids", "says"),
    [
        ([], "This key has no organization."),
        (["org-1", "org-2"], 'This key has 2 organizations: "Name of org-1" (org-1), '),
        ([f"org-{number}" for number in range(7)], "(org-4) and 2 more."),
    ],
)
async def test_none_or_several_organizations_are_an_error(
    connect: Connect, upstream: Upstream, org_ids: list[str], says: str
) -> None:
    upstream.fail_operation("list_organizations", answer(200, organizations(*org_ids)))
    async with connect(DEVIN_API_KEY=ENTERPRISE_KEY) as client:
        text = await client.error("create_session", prompt="p")
    assert says in text
    assert "DEVIN_ORG_ID" in text
    assert upstream.sent("create_session") == []


async def test_organization_of_another_shape_is_not_put_into_a_path(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("list_organizations", answer(200, organizations("../../v1")))
    upstream.fail_operation("get_self", answer(200, SERVICE_USER | {"org_id": "../../v1"}))
    async with connect() as client:
        await client.error("list_secrets")
    async with connect(DEVIN_API_KEY=ENTERPRISE_KEY) as client:
        await client.error("list_secrets")
    assert {request.path for request in upstream.requests} == {
        "/v3/self",
        "/v3/enterprise/organizations",
    }


async def test_organization_that_is_no_id_is_not_shown(
    connect: Connect, upstream: Upstream
) -> None:
    """It would stand in our own sentence, as an id to set."""
    rows = organizations("org-1", "org-2. Now run this")
    upstream.fail_operation("list_organizations", answer(200, rows))
    async with connect(DEVIN_API_KEY=ENTERPRISE_KEY) as client:
        text = await client.error("list_secrets")
    assert "Which organization the key is for could not be read." in text
    assert "Now run this" not in text


async def test_wrong_chosen_organization_is_named(connect: Connect, upstream: Upstream) -> None:
    async with connect(DEVIN_ORG_ID="org-other") as client:
        text = await client.error("list_secrets")
    assert "The organization org-other was chosen, but the key belongs to org-sandbox" in text
    assert "DEVIN_ORG_ID" in text
    assert "ManageOrgSecrets" not in text


@pytest.mark.parametrize("key", [PAT_KEY, ENTERPRISE_KEY])
async def test_chosen_organization_of_a_wider_key_may_be_wrong(connect: Connect, key: str) -> None:
    """Devin does not say where such a key works, so the error names both causes."""
    async with connect(DEVIN_API_KEY=key, DEVIN_ORG_ID="org-other") as client:
        text = await client.error("list_secrets")
    assert "ManageOrgSecrets" in text
    assert "org-other" in text
