"""Errors of v3: the three meanings of a 403, problem documents, betas and the key's secrecy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import Operation
from tests.conftest import Connect
from tests.server.test_api_arguments import required_arguments
from tests.upstream import KEYS, Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="It tests the answers of v3.")

FORBIDDEN = answer(403, {"detail": "Forbidden"})
DIRECT = [
    operation
    for operation in OPERATIONS
    if operation.v3 is not None
    and operation.operation_id.split("_")[0] in {"list", "get", "create", "terminate"}
]
"""Operations whose first request is their own."""


@pytest.mark.parametrize("operation", DIRECT, ids=lambda operation: operation.operation_id)
async def test_missing_permission_of_the_endpoint_is_named(
    connect: Connect, upstream: Upstream, operation: Operation[Any, Any]
) -> None:
    assert operation.v3 is not None
    upstream.fail_operation(operation.operation_id, *[FORBIDDEN] * 2)
    arguments = required_arguments(operation)
    if operation.operation_id == "create_secret":
        arguments |= {"type": "totp", "value": "v"}
    if "session_id" in arguments:
        arguments["session_id"] = "devin-1"
    if operation.operation_id == "create_schedule":
        arguments["frequency"] = "0 9 * * 1"
    async with connect(toolsets="all") as client:
        text = await client.error(operation.operation_id, **arguments)
    permission = operation.v3.permission
    assert permission
    assert f"lacks the permission {permission}" in text
    assert ("what the id names is gone" in text) is bool(operation.v3.placeholders - {"org_id"})
    assert "Devin accepts the key" in text
    assert len(upstream.sent("get_self")) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_key_that_self_refuses_is_not_accepted(
    connect: Connect, upstream: Upstream, status: int
) -> None:
    upstream.fail_operation("get_self", *[answer(status, {"detail": "Invalid API key"})] * 2)
    async with connect() as client:
        text = await client.error("list_secrets")
    assert f"Devin does not accept this API key ({status})." in text
    assert "DEVIN_API_KEY" in text
    assert "permission" not in text
    assert upstream.sent("list_secrets") == []


@pytest.mark.parametrize("settings", [{}, {"DEVIN_ORG_ID": "org-sandbox"}], ids=["own", "chosen"])
async def test_unknown_key_is_not_accepted(
    connect: Connect, upstream: Upstream, settings: dict[str, str]
) -> None:
    async with connect(DEVIN_API_KEY="cog_unknown_123456", **settings) as client:
        text = await client.error("list_secrets")
    assert "Devin does not accept this API key (403)." in text
    assert "permission" not in text


async def test_refusal_that_self_cannot_explain_stays_a_refusal(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("list_secrets", FORBIDDEN)
    upstream.fail_operation("get_self", answer(500))
    async with connect(DEVIN_ORG_ID="org-sandbox") as client:
        text = await client.error("list_secrets")
    assert "This API key may not do that (403)." in text
    assert "does not accept" not in text
    assert "ManageOrgSecrets" not in text


async def test_exhausted_quota_is_not_a_missing_permission(connect: Connect) -> None:
    async with connect() as client:
        text = await client.error("create_session", prompt="sandbox:quota")
    assert "out of quota" in text
    assert "permission" not in text


@pytest.mark.parametrize("prompt", ["p", "sandbox:problem-json"], ids=["detail", "problem"])
async def test_reason_is_read_from_both_kinds_of_document(
    connect: Connect, upstream: Upstream, prompt: str
) -> None:
    """FastAPI's `detail` (a text or a list), and RFC 9457 with `errors` (v3.md §11)."""
    async with connect() as client:
        await client.create_session(prompt)
        missing = await client.error("get_playbook", playbook_id="playbook-none")
        invalid = await client.error("create_playbook", title="t", body="b", macro="no macro")
    assert 'does not know that id (404). Devin says: "Playbook not found".' in missing
    assert "did not accept the request (422)" in invalid
    assert "body.macro" in invalid
    assert "no macro" not in invalid


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"title": "Unprocessable", "status": 422, "detail": "too odd"}, "too odd"),
        (
            {
                "detail": "first",
                "errors": [{"loc": ["body", "macro"], "msg": "too long", "type": "x"}],
            },
            "body.macro: too long",
        ),
        ({"detail": "too odd", "errors": {"macro": 1}}, "too odd"),
        ({"detail": "too odd", "errors": None}, "too odd"),
        ({"type": "about:blank", "title": "Unprocessable", "status": 422}, "(422)"),
    ],
)
async def test_problem_document_of_any_shape_is_read(
    connect: Connect, upstream: Upstream, body: dict[str, Any], says: str
) -> None:
    fault = answer(422, body, content_type="application/problem+json")
    upstream.fail_operation("create_playbook", fault)
    async with connect() as client:
        assert says in await client.error("create_playbook", title="t", body="b")


async def test_beta_route_that_is_missing_is_not_offered(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("list_members", answer(404, {"detail": "Not Found"}))
    async with connect() as client:
        text = await client.error("list_sessions", user_email="you@sandbox.invalid")
    assert "This deployment of Devin does not offer that (404)." in text
    assert "id" not in text.split()


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        (KEYS["v3"], {}),
        ("cog_refused_0123456789", {}),
        ("odd-key-0123456789", {"DEVIN_API": "v3"}),
    ],
    ids=["accepted", "refused", "odd"],
)
async def test_key_is_in_no_error_and_no_log(
    connect: Connect,
    upstream: Upstream,
    logs: Callable[[], list[dict[str, Any]]],
    key: str,
    settings: dict[str, str],
) -> None:
    echo = {"detail": f"Key {key} is not allowed", "errors": None}
    upstream.fail_operation("get_self", *[answer(403, echo)] * 2)
    upstream.fail_operation("list_secrets", *[answer(403, echo)] * 4)
    upstream.fail_operation("delete_secret", answer(403, echo))
    async with connect(DEVIN_API_KEY=key, **settings) as client:
        texts = [await client.error("list_secrets") for _ in range(3)]
        texts.append(await client.error("delete_secret", secret_id="secret-0001"))
    assert key not in "".join(texts)
    assert key not in str(logs())
    assert upstream.requests[0].headers["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [
        ({"DEVIN_API_KEY": "oddkey123", "DEVIN_API": "v3"}, "/v3/"),
        ({"DEVIN_API_KEY": "oddkey123", "DEVIN_API": "v1"}, "/v1/"),
        ({"DEVIN_API_KEY": "oddkey123"}, "/v1/"),
        ({"DEVIN_API_KEY": KEYS["v3"], "DEVIN_API": "v1"}, "/v3/"),
        ({"DEVIN_API_KEY": KEYS["v1"], "DEVIN_API": "v3"}, "/v1/"),
        ({"DEVIN_API_KEY": f" {KEYS['v3']}\n"}, "/v3/"),
    ],
)
async def test_setting_decides_for_keys_of_unknown_shape_only(
    connect: Connect, upstream: Upstream, settings: dict[str, str], prefix: str
) -> None:
    async with connect(**settings) as client:
        await client("list_secrets")
    assert upstream.requests
    assert all(request.path.startswith(prefix) for request in upstream.requests)


async def test_title_of_a_problem_without_detail_is_quoted(
    connect: Connect, upstream: Upstream
) -> None:
    body = {"type": "about:blank", "title": "Playbook is archived", "status": 422, "detail": None}
    upstream.fail_operation("create_session", answer(422, body))
    async with connect() as client:
        assert "Playbook is archived" in await client.error("create_session", prompt="p")
