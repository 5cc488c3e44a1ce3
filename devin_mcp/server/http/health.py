"""Health endpoints for a cluster: /healthz (liveness) and /readyz (readiness).

Neither status depends on whether Devin answers.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devin_mcp.api.client import DevinClient


class Readiness:
    """Whether this process should receive requests: from the end of its start to the beginning of
    its shutdown.
    """

    def __init__(self) -> None:
        self.api: DevinClient | None = None
        """None until the server has started."""
        self.draining = False

    def mark_started(self, api: DevinClient) -> None:
        self.api = api

    def mark_draining(self) -> None:
        self.draining = True

    @property
    def state(self) -> str:
        return "draining" if self.draining else "starting" if self.api is None else "ready"

    @property
    def upstream(self) -> str:
        """Result of the last request to Devin: ok, failing or unknown.

        It is reported and not part of the status, so that one failure of Devin does not take every
        replica out of service.
        """
        is_healthy = None if self.api is None else self.api.pools.upstream.is_healthy
        return "unknown" if is_healthy is None else "ok" if is_healthy else "failing"


def health_routes(readiness: Readiness) -> list[Route]:
    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        body = {"status": readiness.state, "upstream": readiness.upstream}
        return JSONResponse(body, 200 if readiness.state == "ready" else 503)

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
    ]
