"""devin://account: who the key is, which organization it is for, and what it may read."""

from __future__ import annotations

import pytest
from mcp import MCPError

from devin_mcp.keys import DevinApi
from tests.conftest import Connect
from tests.upstream import KEYS, Upstream, answer

PAT_KEY = KEYS["v3"].replace("sandbox", "sandbox_pat")
ONLY_READ_ON: dict[DevinApi, str] = {"v1": "", "v3": ", repositories"}
ENTERPRISE_KEY = KEYS["v3"].replace("sandbox", "sandbox_enterprise")


async def test_account_names_the_api_and_what_may_be_read(connect: Connect, api: DevinApi) -> None:
    async with connect() as client:
        text = await client.read("devin://account")
    facts = {
        "v1": "- API: v1\n- Reads: ",
        "v3": '- API: the Organization API (v3)\n- Owner: service user "sandbox"\n'
        "- Organization: org-sandbox\n- Reads: ",
    }
    assert text.startswith(f"# Account\n\n{facts[api]}")
    assert text.endswith(f"- Reads: sessions, secrets, knowledge, playbooks{ONLY_READ_ON[api]}")
    assert KEYS[api] not in text


async def test_list_that_is_refused_is_named(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    upstream.fail_operation("list_secrets", answer(403, {"detail": "Forbidden"}))
    async with connect() as client:
        text = await client.read("devin://account")
    readable = f"sessions, knowledge, playbooks{ONLY_READ_ON[api]}"
    assert f"- Reads: {readable}\n- May not read: secrets" in text


async def test_account_of_a_wrong_key_is_an_error(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    refused = answer(401, {"detail": "Unauthenticated"})
    for name in ("get_self", "list_sessions", "list_secrets", "list_playbooks", "list_knowledge"):
        upstream.fail_operation(name, refused)
    async with connect() as client:
        with pytest.raises(MCPError, match="does not accept this API key"):
            await client.read("devin://account")


async def test_list_that_devin_cannot_show_now_is_not_called_forbidden(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    upstream.fail_operation("list_secrets", *[answer(500)] * 9)
    async with connect() as client:
        with pytest.raises(MCPError, match="server error"):
            await client.read("devin://account")


@pytest.mark.one_api("v3", reason="v1 does not say who a key is.")
async def test_account_of_a_person(connect: Connect) -> None:
    async with connect(DEVIN_API_KEY=PAT_KEY) as client:
        text = await client.read("devin://account")
    assert '- Owner: person (personal access token) "Ada Sandbox"\n' in text
    assert "- Organization: org-sandbox\n" in text


@pytest.mark.one_api("v3", reason="v1 does not say who a key is.")
async def test_account_of_an_enterprise_lists_its_organizations(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(DEVIN_API_KEY=ENTERPRISE_KEY) as client:
        text = await client.read("devin://account")
    assert 'This key has 2 organizations: "Sandbox" (org-sandbox)' in text
    assert '"Sandbox second" (org-sandbox-second)' in text
    assert "DEVIN_ORG_ID" in text
    assert "- Reads" not in text
    assert upstream.sent("list_sessions") == []


@pytest.mark.one_api("v3", reason="v1 does not say who a key is.")
async def test_account_of_the_chosen_organization(connect: Connect, upstream: Upstream) -> None:
    async with connect(DEVIN_API_KEY=ENTERPRISE_KEY, DEVIN_ORG_ID="org-sandbox-second") as client:
        text = await client.read("devin://account")
    assert "- Organization: org-sandbox-second\n" in text
    assert "- Reads: sessions, secrets, knowledge, playbooks" in text
    assert upstream.sent("list_organizations") == []


@pytest.mark.one_api("v1", reason="v1 has no organizations; one that is set is ignored.")
async def test_chosen_organization_is_ignored_on_v1(connect: Connect, upstream: Upstream) -> None:
    async with connect(DEVIN_ORG_ID="org-sandbox-second") as client:
        text = await client.read("devin://account")
    assert "rganization:" not in text
    assert all(request.path.startswith("/v1/") for request in upstream.requests)
