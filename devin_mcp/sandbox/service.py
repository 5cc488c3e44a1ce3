"""The simulated service: one organization for each key, behind HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devin_mcp.keys import api_of
from devin_mcp.sandbox import v1
from devin_mcp.sandbox.downloads import DOWNLOAD_PATH, Downloads
from devin_mcp.sandbox.organization import Organization, SandboxClock
from devin_mcp.sandbox.request import ApiError, Handler, SandboxRequest
from devin_mcp.sandbox.request_bodies import InvalidRequest
from devin_mcp.sandbox.sample_data import sample_organization

MAX_PARALLEL_SESSIONS = 25


@dataclass
class Sandbox:
    """All organizations and their clock. Tests advance the clock and read the organizations."""

    parallel: int = MAX_PARALLEL_SESSIONS
    """How many sessions may run at once in an organization that is created from now on."""
    clock: SandboxClock = field(default_factory=SandboxClock)
    organizations: dict[str, Organization] = field(default_factory=dict)
    """Key -> organization."""

    def __post_init__(self) -> None:
        self.downloads = Downloads(self.clock)

    def organization(self, key: str) -> Organization:
        """The organization of the key, which is created with sample data when the key is first
        used.
        """
        if key not in self.organizations:
            self.organizations[key] = sample_organization(self.clock, self.parallel)
        return self.organizations[key]

    def app(self) -> Starlette:
        routes = [
            Route(path, self._endpoint(handler), methods=[method])
            for (method, path), handler in v1.ROUTES.items()
        ]
        return Starlette(
            routes=[*routes, Route(DOWNLOAD_PATH, self.downloads.serve)],
            exception_handlers={404: _unknown_route, 405: _unknown_route},
        )

    def _endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                organization = self.organization(_authenticate(request))
                return await handler(SandboxRequest(request, organization, self.downloads))
            except ApiError as error:
                return JSONResponse({"detail": error.detail}, error.status)
            except InvalidRequest as error:
                return JSONResponse({"detail": error.detail}, 422)

        return endpoint


def sandbox_app() -> Starlette:
    """A new sandbox as an ASGI application."""
    return Sandbox().app()


def _authenticate(request: Request) -> str:
    """The key of the request. Any key of v1 is accepted; raises ApiError for every other."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise ApiError(401, "Not authenticated")
    if api_of(key) == "v3":
        raise ApiError(403, "This key is for another API")
    if api_of(key) != "v1":
        raise ApiError(401, "Invalid API key")
    return key


async def _unknown_route(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": "Not Found"}, getattr(error, "status_code", 404))
