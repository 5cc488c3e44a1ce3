"""Keys and organizations: which keys are accepted, and that each has an organization of its own."""

from __future__ import annotations

import pytest

from devin_mcp.sandbox import Sandbox
from tests.sandbox.conftest import client_for


async def test_keys_have_separate_organizations(sandbox: Sandbox) -> None:
    async with client_for(sandbox, "apk_one") as first, client_for(sandbox, "apk_two") as second:
        session = (await first.post("/v1/sessions", json={"prompt": "p"})).json()
        response = await second.get(f"/v1/sessions/{session['session_id']}")
        assert response.status_code == 404
        assert (await second.get("/v1/sessions")).json() == {"sessions": []}


@pytest.mark.parametrize(
    ("key", "status"), [("", 401), ("nonsense", 401), ("cog_x", 403), ("apk_x", 200)]
)
async def test_only_v1_keys_are_accepted(sandbox: Sandbox, key: str, status: int) -> None:
    async with client_for(sandbox, key) as client:
        assert (await client.get("/v1/sessions")).status_code == status


async def test_unknown_routes_and_methods_are_refused(sandbox: Sandbox) -> None:
    async with client_for(sandbox) as client:
        assert (await client.get("/v1/me")).status_code == 404
        assert (await client.patch("/v1/sessions")).status_code == 405
