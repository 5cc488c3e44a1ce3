"""/healthz and /readyz, which answer without a caller and under any host name."""

from __future__ import annotations

import httpx

from devin_mcp.server.context import Shutdown
from tests.conftest import settings_for
from tests.http_client import connect_over_http, start_http_server
from tests.upstream import KEY, Upstream, answer


async def test_readiness_changes_with_shutdown_and_not_with_devin(upstream: Upstream) -> None:
    shutdown = Shutdown()
    async with (
        start_http_server(settings_for(upstream, auth="caller-key"), shutdown=shutdown) as url,
        httpx.AsyncClient() as http,
    ):

        async def get(path: str) -> tuple[int, dict[str, str]]:
            response = await http.get(url.replace("/mcp", path), headers={"host": "10.0.0.7:8000"})
            return response.status_code, response.json()

        assert await get("/healthz") == (200, {"status": "alive"})
        assert await get("/readyz") == (200, {"status": "ready", "upstream": "unknown"})
        upstream.fail("GET", "/v1/secrets", answer(500), answer(200, []))
        async with connect_over_http(url, {"X-Devin-Api-Key": KEY}) as client:
            await client.error("list_secrets")
            assert await get("/readyz") == (200, {"status": "ready", "upstream": "failing"})
            await client.ok("list_secrets")
            assert await get("/readyz") == (200, {"status": "ready", "upstream": "ok"})
        shutdown.start()
        assert await get("/readyz") == (503, {"status": "draining", "upstream": "ok"})
        assert await get("/healthz") == (200, {"status": "alive"})
