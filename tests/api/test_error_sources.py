"""Who an error response is from: only a body of Devin's shape speaks of key, quota or id."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.keys import DevinApi
from tests.conftest import Connect, Logs
from tests.upstream import Upstream, answer, drop_connection, page

STATUSES = [400, 401, 402, 403, 404, 405, 407, 408, 409, 413, 422, 429, 451, 499]
STATUSES += [500, 502, 503, 504, 511]
NEVER_FORWARDED = {407, 511}
REPEATED_READS = {429, 502, 503, 504}

REASON = "Your organization has a billing error. Error: out_of_quota"
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain"
OTHER_BODIES: dict[str, tuple[Any, str]] = {
    "page": (f"<html><body>{REASON}</body></html>".encode(), HTML),
    "page as JSON": (f"<html><body>{REASON}</body></html>".encode(), JSON),
    "plain text": (b"RBAC: still initializing, out_of_quota, sessions running", TEXT),
    "empty": (b"", JSON),
    "null": (b"null", JSON),
    "list": ([{"detail": REASON}], JSON),
    "message": ({"message": REASON, "status": 403}, JSON),
    "error": ({"error": {"code": 403, "message": REASON, "detail": REASON}}, JSON),
    "detail of another shape": ({"detail": {"text": REASON}}, JSON),
    "problem of a gateway": (
        {"type": "https://gateway.example/1020", "title": "Access denied", "detail": REASON},
        "application/problem+json",
    ),
    "title": ({"title": REASON}, JSON),
    "deep": (b'{"detail":' * 10_000, JSON),
}
DEVINS_BODIES: dict[str, tuple[Any, str]] = {
    "detail": ({"detail": "Not today"}, JSON),
    "detail as a page": ({"detail": "Not today"}, HTML),
    "detail as bytes": ({"detail": "Not today"}, "application/octet-stream"),
    "list": ({"detail": [{"loc": ["body"], "msg": "Not today", "type": "x"}]}, JSON),
    "problem": (
        {"type": "about:blank", "title": "Not today", "detail": None, "errors": None},
        "application/problem+json",
    ),
}
CALLS: dict[str, dict[str, str]] = {
    "get_playbook": {"playbook_id": "playbook-1"},
    "create_session": {"prompt": "p"},
    "delete_playbook": {"playbook_id": "playbook-1"},
}
ABOUT_DEVIN = ("API key", "quota", "ACU", "that id", "permission", "Devin says", "sessions are")


def fault(status: int, body: Any, content_type: str) -> Any:
    if isinstance(body, dict) and "errors" in body:
        body = {"status": status, **body}
    return answer(status, body, content_type=content_type)


@pytest.mark.parametrize("kind", OTHER_BODIES)
async def test_body_of_another_shape_blames_the_network_in_between(
    connect: Connect, upstream: Upstream, api: DevinApi, kind: str, logs: Logs
) -> None:
    """For each status: the sentence, the class of the error, and that nothing is repeated."""
    async with connect(cache_ttl=0, max_sessions=len(STATUSES)) as client:
        await client.ok("list_secrets")
        for status in STATUSES:
            for tool, arguments in CALLS.items():
                upstream.clear_faults()
                upstream.requests.clear()
                upstream.fail_operation(tool, *[fault(status, *OTHER_BODIES[kind])] * 9)
                text = await client.error(tool, **arguments)
                error = [line for line in logs() if line["event"] == "mcp_call"][-1]["error"]
                case = (status, tool, error, text)
                assert text.startswith("Something in between, such as a proxy or a gateway,"), case
                assert f"({status})" in text, case
                sentence = text.partition(" A session may exist")[0]
                assert [word for word in ABOUT_DEVIN if word in sentence] == [], case
                sent = len(upstream.sent(tool))
                if tool == "get_playbook":
                    assert error == ("slow_down" if status == 429 else "broken"), case
                    assert "Nothing was changed." in text, case
                    assert sent == (4 if status in REPEATED_READS else 1), case
                elif status in NEVER_FORWARDED:
                    assert (error, sent) == ("not_sent", 1), case
                    assert "passed nothing on. Nothing was changed. Sign in" in text, case
                elif tool == "create_session":
                    assert (error, sent) == ("reply_lost", 1), case
                    assert "it may have been carried out" in text, case
                    assert ("passes nothing on, but" in text) is (status < 500), case
                else:
                    assert error == "reply_lost", case
                    assert "Whether it was carried out is unknown" in text, case
                    assert sent == (4 if status in REPEATED_READS else 1), case
                assert {request.path for request in upstream.requests} == {
                    request.path for request in upstream.sent(tool)
                }, case


@pytest.mark.parametrize("kind", DEVINS_BODIES)
async def test_body_of_devin_is_told_as_its_word_in_any_content_type(
    connect: Connect, upstream: Upstream, api: DevinApi, kind: str
) -> None:
    says = {401: "API key", 403: "API key", 404: "does not know", 409: "conflict", 429: "too often"}
    async with connect(cache_ttl=0) as client:
        for status in STATUSES:
            for tool, arguments in CALLS.items():
                upstream.clear_faults()
                upstream.fail_operation(tool, *[fault(status, *DEVINS_BODIES[kind])] * 9)
                text = await client.error(tool, **arguments)
                case = (status, tool, text)
                assert "in between" not in text, case
                assert says.get(status, "Devin") in text, case
                if status in {400, 404, 409, 422, 429, 451}:
                    assert "Not today" in text, case


async def test_deleted_is_only_what_devin_does_not_know_any_more(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    """The reply to the first attempt is lost, and the second one is answered with 404."""
    async with connect() as client:
        upstream.fail_operation("delete_playbook", drop_connection, page(404))
        text = await client.error("delete_playbook", playbook_id="playbook-1")
        assert "Whether it was carried out is unknown" in text
        upstream.fail_operation("delete_playbook", drop_connection, answer(404))
        assert (await client.ok("delete_playbook", playbook_id="playbook-1"))["deleted"] is True


@pytest.mark.parametrize("status", sorted(NEVER_FORWARDED))
async def test_sign_in_page_after_a_lost_reply_leaves_the_outcome_unknown(
    connect: Connect, upstream: Upstream, api: DevinApi, status: int
) -> None:
    upstream.fail_operation("delete_playbook", drop_connection, page(status))
    async with connect() as client:
        text = await client.error("delete_playbook", playbook_id="playbook-1")
    assert "Whether it was carried out is unknown" in text


@pytest.mark.one_api("v3", reason="v1 has no request about the key.")
@pytest.mark.parametrize("operation_id", ["get_self", "list_secrets", "list_members"])
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_web_page_at_any_request_says_nothing_about_the_key(
    connect: Connect, upstream: Upstream, operation_id: str, status: int
) -> None:
    upstream.fail_operation(operation_id, page(status))
    async with connect() as client:
        text = await client.error("list_secrets") if operation_id != "list_members" else ""
        text = text or await client.error("list_sessions", user_email="you@sandbox.invalid")
    assert f"answered instead of Devin ({status})" in text
    assert [word for word in ABOUT_DEVIN if word in text] == []


async def test_refusal_of_the_storage_is_not_told_as_devins(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    url = upstream.organization.store("n.txt", "text/plain", b"hello")
    async with connect() as client:
        for status in (401, 403, 404):
            upstream.fail("GET", "/_presigned/.*", answer(status))
            text = await client.error("download_attachment", url=url)
            assert (
                f"The storage that Devin redirected the download to answered with {status}" in text
            )
            assert [word for word in ABOUT_DEVIN if word in text] == []
