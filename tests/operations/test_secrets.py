"""Secrets: values are sent to Devin and never returned."""

from __future__ import annotations

import pytest

from tests.conftest import Connect
from tests.upstream import Upstream, answer


async def test_secret_is_created_listed_and_deleted(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        created = await client.ok(
            "create_secret", type="key-value", key="DB", value="hunter2-hunter2", note="for tests"
        )
        listed = await client.ok("list_secrets")
        assert {"id": created["id"], "type": "key-value", "key": "DB"}.items() <= listed["secrets"][
            -1
        ].items()
        assert "hunter2" not in str(listed)
        assert (await client.ok("delete_secret", secret_id=created["id"]))["deleted"] is True
        assert "404" in await client.error("delete_secret", secret_id=created["id"])
    assert upstream.requests[0].json == {
        "type": "key-value",
        "key": "DB",
        "value": "hunter2-hunter2",
        "sensitive": True,
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
        assert "value-from" not in str(created)
        await client.ok(
            "create_session",
            prompt="p",
            session_secrets=[{"key": "B", "value_from_env": "MY_TOKEN"}],
        )
        assert "may not be handed over" in await client.error(
            "create_secret", type="totp", key="C", value_from_env="PATH"
        )
        assert "not both" in await client.error(
            "create_secret", type="totp", key="C", value="x", value_from_env="MY_TOKEN"
        )
        assert "value or value_from_env" in await client.error(
            "create_secret", type="totp", key="C"
        )
        monkeypatch.delenv("MY_TOKEN")
        assert "not set" in await client.error(
            "create_secret", type="totp", key="C", value_from_env="MY_TOKEN"
        )
    assert upstream.requests[0].json["value"] == "value-from-the-environment"
    assert upstream.requests[1].json["session_secrets"] == [
        {"key": "B", "value": "value-from-the-environment", "sensitive": True}
    ]


async def test_value_from_env_does_not_exist_without_allowed_variables(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        assert "no argument value_from_env" in await client.error(
            "create_secret", type="totp", key="C", value_from_env="PATH"
        )
        text = await client.error(
            "create_session", prompt="p", session_secrets=[{"key": "B", "value_from_env": "PATH"}]
        )
        assert "in session_secrets[0]" in text
    async with connect(allow_secret_env="PATH", transport="http") as client:
        assert "no argument" in await client.error(
            "create_secret", type="totp", key="C", value_from_env="PATH"
        )
        assert "A secret needs value." in await client.error("create_secret", type="totp", key="C")
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
    upstream.fail(
        "POST", "/v1/secrets", answer(422, body), answer(400, {"detail": "half: hunter2-hun"})
    )
    async with connect() as client:
        for _ in range(2):
            assert "hunter2" not in await client.error(
                "create_secret", type="totp", key="C", value="hunter2-hunter2"
            )


async def test_secrets_are_listed_page_by_page(connect: Connect, upstream: Upstream) -> None:
    upstream.fail(
        "GET",
        "/v1/secrets",
        *[answer(200, [{"id": f"s-{n}", "type": "totp", "key": "K" * 50} for n in range(100)])]
        * 10,
    )
    async with connect(result_limit=3000) as client:
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await client.ok("list_secrets", cursor=cursor)
            seen += [row["id"] for row in page["secrets"]]
            cursor = page.get("next_cursor")
            if cursor is None:
                break
    assert seen == [f"s-{n}" for n in range(100)]


async def test_empty_list_suggests_create_secret(connect: Connect, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/secrets", answer(200, []))
    async with connect() as client:
        assert "devin_create_secret" in (await client.ok("list_secrets"))["next"]
