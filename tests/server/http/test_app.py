"""The ASGI application: CORS for browsers, methods and media types."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.conftest import Logs, settings_for
from tests.http_client import ACCEPT, INITIALIZE, MODERN, MODERN_META, start_http_server
from tests.upstream import Upstream

ORIGIN = {"origin": "https://app.example.com"}
REVISIONS = ["2025-11-25", MODERN]


def listing(revision: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of a request that each revision of the protocol answers."""
    if revision != MODERN:
        return INITIALIZE, {}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": MODERN_META}}
    return body, {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}


async def test_cors_headers_are_sent_to_allowed_origins_only(upstream: Upstream) -> None:
    preflight = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-devin-api-key,mcp-protocol-version",
    }
    allowed = {"origin": "https://app.example.com"}
    settings = settings_for(upstream, auth="caller-key", allowed_origins="https://app.example.com")
    async with start_http_server(settings) as url, httpx.AsyncClient() as http:
        to_allowed = await http.options(url, headers=preflight | allowed)
        to_other = await http.options(url, headers=preflight | {"origin": "https://evil.example"})
        rejected = await http.post(url, json=INITIALIZE, headers=allowed)
    assert to_allowed.status_code == 200
    assert to_allowed.headers["access-control-allow-origin"] == "https://app.example.com"
    assert (to_other.status_code, "access-control-allow-origin" in to_other.headers) == (400, False)
    assert rejected.status_code == 403
    assert rejected.headers["access-control-allow-origin"] == "https://app.example.com", (
        "so that the page can read why"
    )


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_page_of_an_allowed_origin_may_try_each_method_of_the_transport(
    upstream: Upstream, method: str
) -> None:
    """Then it can read the 405 that clients accept; otherwise it would see a network error."""
    preflight = {
        "access-control-request-method": method,
        "access-control-request-headers": (
            "accept, content-type, last-event-id, mcp-protocol-version, mcp-session-id"
        ),
    }
    settings = settings_for(upstream, auth="caller-key", allowed_origins=ORIGIN["origin"])
    async with start_http_server(settings) as url, httpx.AsyncClient() as http:
        allowed = await http.options(url, headers=preflight | ORIGIN)
        answer = await http.request(method, url, headers=ORIGIN)
        other = await http.options(url, headers=preflight | {"origin": "https://evil.example"})
        no_method = await http.options(
            url, headers=preflight | ORIGIN | {"access-control-request-method": "PUT"}
        )
    assert allowed.status_code == 200
    assert method in allowed.headers["access-control-allow-methods"].split(", ")
    assert allowed.headers["access-control-allow-origin"] == ORIGIN["origin"]
    assert answer.status_code == (405 if method != "POST" else 403)
    assert answer.headers["access-control-allow-origin"] == ORIGIN["origin"]
    assert (other.status_code, no_method.status_code) == (400, 400)


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "Application/JSON"},
        {"content-type": "APPLICATION/json ; Charset=UTF-8"},
        {"accept": "Application/JSON, Text/Event-Stream"},
        {"accept": "*/*"},
    ],
    ids=str,
)
async def test_media_types_are_compared_in_any_letter_case(
    upstream: Upstream, revision: str, headers: dict[str, str]
) -> None:
    body, fields = listing(revision)
    fields = ACCEPT | {"content-type": "application/json"} | fields | headers
    async with start_http_server(settings_for(upstream)) as url, httpx.AsyncClient() as http:
        answer = await http.post(url, content=json.dumps(body), headers=fields)
    assert answer.status_code == 200
    assert '"result"' in answer.text


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({"accept": "text/plain"}, 406, "Accept must name both"),
        ({"accept": "application/json"}, 406, "Accept must name both"),
        ({"accept": ""}, 406, "Accept must name both"),
        ({"content-type": "text/xml"}, 415, "Content-Type must be application/json."),
        ({"content-type": ""}, 415, "Content-Type must be application/json."),
    ],
)
async def test_refused_media_type_is_named(
    upstream: Upstream,
    logs: Logs,
    revision: str,
    headers: dict[str, str],
    status: int,
    says: str,
) -> None:
    body, fields = listing(revision)
    fields = ACCEPT | {"content-type": "application/json"} | fields | headers
    async with start_http_server(settings_for(upstream)) as url, httpx.AsyncClient() as http:
        answer = await http.post(url, content=json.dumps(body), headers=fields)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
    assert "connection" not in answer.headers, "the connection can be used again"
    (line,) = [line for line in logs() if line["event"] == "http_rejected"]
    assert line["status"] == status


async def test_stream_that_cannot_be_streamed_is_refused_with_a_reason(
    upstream: Upstream,
) -> None:
    body, fields = listing(MODERN)
    body |= {"method": "subscriptions/listen"}
    body["params"]["notifications"] = {}
    fields |= {"mcp-method": "subscriptions/listen", "accept": "application/json"}
    async with start_http_server(settings_for(upstream)) as url, httpx.AsyncClient() as http:
        answer = await http.post(url, json=body, headers=fields)
    assert answer.status_code == 406
    assert "text/event-stream" in answer.json()["error"]["message"]
