"""The response to a rejected request."""

from __future__ import annotations

from tests.conftest import settings_for
from tests.http_client import start_http_server
from tests.server.http.raw_requests import REQUEST_HEAD, exchange_bytes
from tests.upstream import Upstream


async def test_rejected_request_with_unfinished_body_is_answered_and_closed(
    upstream: Upstream,
) -> None:
    """An unauthenticated client cannot hold a connection with a body that never ends."""
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        response = await exchange_bytes(url, REQUEST_HEAD + b"content-length: 100\r\n\r\n", b"{")
    assert response.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in response.lower()
