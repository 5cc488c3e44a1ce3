"""Secrets of the Organization API: notes, and the two meanings of a refused deletion."""

from __future__ import annotations

import pytest

from tests.conftest import Connect
from tests.operations.records import by_id, secret
from tests.server.fake_user import FakeUser
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 shows no notes and answers 404 for what is gone.")


async def test_note_of_a_secret_is_shown(connect: Connect) -> None:
    async with connect() as client:
        created = await client.ok(
            "create_secret", type="key-value", key="DB", value="v", note="for tests"
        )
        rows = (await client.ok("list_secrets"))["secrets"]
    notes = {row["secret_id"]: row.get("note") for row in rows}
    assert notes[created["secret_id"]] == "for tests"


async def test_secret_that_is_gone_is_not_a_missing_permission(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        text = await client.error("delete_secret", secret_id="secret-none")
    assert "does not know that secret id" in text
    assert "permission" not in text
    assert len(upstream.sent("delete_secret")) == 1


async def test_refused_deletion_of_a_listed_secret_names_the_permission(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("delete_secret", answer(403, {"detail": "Forbidden"}))
    async with connect() as client:
        text = await client.error("delete_secret", secret_id="secret-0001")
    assert "ManageOrgSecrets" in text
    assert "secret-0001" in upstream.organization.secrets


async def test_refused_deletion_that_cannot_be_looked_up_says_refused(
    connect: Connect, upstream: Upstream
) -> None:
    forbidden = answer(403, {"detail": "Forbidden"})
    upstream.fail_operation("delete_secret", forbidden)
    upstream.fail_operation("list_secrets", forbidden)
    async with connect() as client:
        text = await client.error("delete_secret", secret_id="secret-0001")
    assert "ManageOrgSecrets" in text
    assert "does not know" not in text


async def test_secret_on_the_second_page_is_asked_about_by_name(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.organization.secrets = by_id(
        *(secret(f"secret-{number:03}", key=f"KEY_{number}") for number in range(250))
    )
    user = FakeUser()
    async with connect(ask=user) as client:
        await client.ok("delete_secret", secret_id="secret-240")
    assert "KEY_240" in user.questions[0]
    assert "secret-240" not in upstream.organization.secrets
