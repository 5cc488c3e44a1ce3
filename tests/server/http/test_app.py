"""The ASGI application: CORS for browsers."""

from __future__ import annotations

import httpx

from tests.conftest import settings_for
from tests.http_client import INITIALIZE, start_http_server
from tests.upstream import Upstream


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
