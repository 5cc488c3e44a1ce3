"""Keys of v3, the organizations that they reach, and refused routes and parameters."""

from __future__ import annotations

import subprocess
import sys

import pytest

from devin_mcp.sandbox import Sandbox
from tests.sandbox.v3_client import ORGANIZATION, PLAYBOOKS, SESSIONS, read, start, v3_client


@pytest.mark.parametrize(
    ("key", "status"),
    [("", 401), ("nonsense", 403), ("apk_sandbox", 403), ("cog_other", 403), ("cog_sandboxX", 200)],
)
async def test_key_is_accepted_or_refused(sandbox: Sandbox, key: str, status: int) -> None:
    async with v3_client(sandbox, key) as client:
        response = await client.get("/v3/self")
    assert response.status_code == status
    assert status == 200 or isinstance(response.json()["detail"], str)


async def test_self_names_the_principal_and_its_organization(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        service = await read(client, "/v3/self")
        assert (await client.get("/v3/enterprise/organizations")).status_code == 403
    assert (service["org_id"], "user_id" in service) == ("org-sandbox", False)
    async with v3_client(sandbox, "cog_sandbox_pat") as client:
        personal = await read(client, "/v3/self")
        path = await start(client, "p")
        assert (await read(client, path))["user_id"] == "user-sandbox"
    assert (personal["org_id"], personal["devin_sessions_org_id"]) == (None, "org-sandbox")


async def test_enterprise_key_has_two_separate_organizations(sandbox: Sandbox) -> None:
    async with v3_client(sandbox, "cog_sandbox_enterprise") as client:
        assert (await read(client, "/v3/self"))["org_id"] is None
        rows = (await read(client, "/v3/enterprise/organizations"))["items"]
        first, second = [row["org_id"] for row in rows]
        await start(client, "p")
        assert (await read(client, f"/v3/organizations/{first}/sessions"))["total"] == 1
        assert (await read(client, f"/v3/organizations/{second}/sessions"))["total"] == 0


async def test_all_kinds_of_key_share_the_organization_of_v1(sandbox: Sandbox) -> None:
    organization = sandbox.organization("apk_sandbox_x")
    for key in ("cog_sandbox_x", "cog_sandbox_pat_x", "cog_sandbox_enterprise_x"):
        assert sandbox.organization(key) is organization
    assert sandbox.organization("cog_sandbox_patrick") is not organization


async def test_foreign_organization_is_a_403(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        response = await client.get("/v3/organizations/org-other/sessions")
    assert (response.status_code, response.json().keys()) == (403, {"detail"})


async def test_members_are_found_by_email(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = "/v3beta1/organizations/org-sandbox/members/users"
        users = (await read(client, path, email="you@sandbox.invalid"))["items"]
        assert users[0]["user_id"] == "user-sandbox"
        assert (await read(client, path, email="a@b.invalid"))["items"] == []


async def test_unknown_routes_methods_and_parameters_are_refused(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        assert (await client.get(f"{ORGANIZATION}/automations")).status_code == 404
        assert (await client.get("/v3beta1/self")).status_code == 404
        wrong = await client.patch(PLAYBOOKS)
        assert (wrong.status_code, wrong.json()) == (405, {"detail": "Method Not Allowed"})
        typo = await client.get(SESSIONS, params={"limit": 5})
        assert (typo.status_code, typo.json()["detail"][0]["loc"]) == (422, ["query", "limit"])


def test_v3_is_not_imported_before_its_first_request() -> None:
    code = (
        "import sys\n"
        "from devin_mcp.sandbox import sandbox_app\n"
        "sandbox_app()\n"
        "assert not [name for name in sys.modules if name.startswith('devin_mcp.sandbox.v3')]"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert finished.returncode == 0, finished.stderr
