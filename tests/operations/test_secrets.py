"""Secrets: values are sent to Devin and never returned."""

from __future__ import annotations

import pytest

from devin_mcp.keys import DevinApi
from tests.conftest import Connect
from tests.operations.records import by_id, secret
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.usefixtures("api")


async def test_secret_is_created_listed_and_deleted(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    gone = {"v1": "404", "v3": "does not know that secret id"}[api]
    async with connect() as client:
        created = await client.ok(
            "create_secret", type="key-value", key="DB", value="hunter2-hunter2", note="for tests"
        )
        listed = await client.ok("list_secrets")
        deleted = await client.ok("delete_secret", secret_id=created["secret_id"])
        assert gone in await client.error("delete_secret", secret_id=created["secret_id"])
    row = listed["secrets"][-1]
    assert row["secret_id"] == created["secret_id"]
    assert (row["secret_type"], row["key"]) == ("key-value", "DB")
    assert "hunter2" not in str(created) + str(listed)
    assert deleted["deleted"] is True
    assert upstream.sent("create_secret")[0].json == {
        "type": "key-value",
        "key": "DB",
        "value": "hunter2-hunter2",
        {"v1": "sensitive", "v3": "is_sensitive"}[api]: True,
        "note": "for tests",
    }


async def test_value_from_env_reads_an_allowed_variable(
    connect: Connect, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "value-from-the-environment")
    async with connect(allow_secret_env="MY_TOKEN") as client:
        created = await client.ok(
            "create_secret", type="key-value", key="A", value_from_env="MY_TOKEN"
        )
        await client.ok(
            "create_session",
            prompt="p",
            session_secrets=[{"key": "B", "value_from_env": "MY_TOKEN"}],
        )
    assert "value-from" not in str(created)
    assert upstream.sent("create_secret")[0].json["value"] == "value-from-the-environment"
    assert upstream.sent("create_session")[0].json["session_secrets"] == [
        {"key": "B", "value": "value-from-the-environment", "sensitive": True}
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"value_from_env": "PATH"}, "may not be handed over"),
        ({"value": "x", "value_from_env": "MY_TOKEN"}, "not both"),
        ({}, "value or value_from_env"),
        ({"value_from_env": "UNSET_TOKEN"}, "not set"),
    ],
)
async def test_value_from_env_that_is_not_usable_is_refused(
    connect: Connect,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, str],
    says: str,
) -> None:
    monkeypatch.setenv("MY_TOKEN", "value-from-the-environment")
    monkeypatch.delenv("UNSET_TOKEN", raising=False)
    async with connect(allow_secret_env="MY_TOKEN,UNSET_TOKEN") as client:
        assert says in await client.error("create_secret", type="totp", key="C", **arguments)
    assert upstream.requests == []


async def test_value_from_env_does_not_exist_without_allowed_variables(
    connect: Connect, upstream: Upstream
) -> None:
    secret = {"key": "B", "value_from_env": "PATH"}
    async with connect() as client:
        text = await client.error("create_secret", type="totp", **secret)
        assert "no argument value_from_env" in text
        text = await client.error("create_session", prompt="p", session_secrets=[secret])
        assert "in session_secrets[0]" in text
    assert upstream.requests == []


async def test_value_from_env_does_not_exist_over_http(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(allow_secret_env="PATH", transport="http") as client:
        text = await client.error("create_secret", type="totp", key="C", value_from_env="PATH")
        assert "no argument" in text
        text = await client.error("create_secret", type="totp", key="C")
        assert "A secret needs value." in text
    assert upstream.requests == []


async def test_rejected_secret_value_is_not_quoted(connect: Connect, upstream: Upstream) -> None:
    body = {
        "detail": [
            {
                "loc": ["body", "value"],
                "msg": "hunter2-hunter2 is too weak",
                "type": "x",
                "input": "hunter2-hunter2",
            }
        ]
    }
    upstream.fail_operation(
        "create_secret", answer(422, body), answer(400, {"detail": "half: hunter2-hun"})
    )
    async with connect() as client:
        for _ in range(2):
            text = await client.error(
                "create_secret", type="totp", key="C", value="hunter2-hunter2"
            )
            assert "hunter2" not in text


async def test_secrets_are_listed_page_by_page(connect: Connect, upstream: Upstream) -> None:
    upstream.organization.secrets = by_id(
        *(secret(f"s-{number}", key="K" * 50) for number in range(100))
    )
    async with connect(result_limit=3000) as client:
        first = await client.ok("list_secrets")
        listed = await client.list_all("list_secrets", "secrets")
    assert "next_cursor" in first
    assert [row["secret_id"] for row in listed] == [f"s-{number}" for number in range(100)]


async def test_empty_list_suggests_create_secret(connect: Connect, upstream: Upstream) -> None:
    upstream.organization.secrets = {}
    async with connect() as client:
        result = await client.ok("list_secrets")
    assert "devin_create_secret" in result["next"]
