"""What a cluster asks: is the process alive, should it get requests. Neither depends on Devin's health."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devin_mcp.api.client import DevinClient


class Readiness:
    """From the start to the end of serving."""

    def __init__(self) -> None:
        self.api: DevinClient | None = None
        """There from the moment when everything is started."""
        self.draining = False

    def begin(self, api: DevinClient) -> None:
        self.api = api

    def drain(self) -> None:
        self.draining = True

    @property
    def state(self) -> str:
        return "draining" if self.draining else "starting" if self.api is None else "ready"

    @property
    def upstream(self) -> str:
        """What the last request to Devin came to. One hiccup of Devin's must not take every replica out of service."""
        well = None if self.api is None else self.api.pools.upstream.is_well
        return "unknown" if well is None else "ok" if well else "trouble"


def probes(readiness: Readiness) -> list[Route]:
    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        found = {"status": readiness.state, "upstream": readiness.upstream}
        return JSONResponse(found, 200 if readiness.state == "ready" else 503)

    handlers: dict[str, Callable[[Request], object]] = {"/healthz": alive, "/readyz": ready}
    return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]
