"""The simulated service: one organization for each key, behind HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from devin_mcp.keys import api_of
from devin_mcp.sandbox import v1
from devin_mcp.sandbox.downloads import DOWNLOAD_PATH, Downloads
from devin_mcp.sandbox.organization import Organization, SandboxClock
from devin_mcp.sandbox.request import ApiError, Handler, SandboxKey, SandboxRequest
from devin_mcp.sandbox.request_bodies import InvalidRequest
from devin_mcp.sandbox.sample_data import sample_organization

MAX_PARALLEL_SESSIONS = 25
SECOND_ORGANIZATION = ("org-sandbox-second", "Sandbox second")
"""Id and name of the organization that only an enterprise key has."""
V3_PATHS = ("/v3/{rest:path}", "/v3beta1/{rest:path}")


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
        used. `apk_sandboxX` and `cog_sandboxX` have the same one.
        """
        parsed = SandboxKey.of(key)
        return self._organization(parsed.organization_key if parsed else key)

    def _organization(self, name: str) -> Organization:
        if name not in self.organizations:
            self.organizations[name] = sample_organization(self.clock, self.parallel)
        return self.organizations[name]

    def _organizations_of(self, key: SandboxKey) -> list[Organization]:
        """All organizations of a key of v3: two for an enterprise key, else one."""
        organizations = [self._organization(key.organization_key)]
        if key.kind == "enterprise":
            second = self._organization(f"{key.organization_key} second")
            second.org_id, second.name = SECOND_ORGANIZATION
            organizations.append(second)
        return organizations

    def app(self) -> Starlette:
        routes = [
            Route(path, self._endpoint(handler), methods=[method])
            for (method, path), handler in v1.ROUTES.items()
        ]
        return Starlette(
            routes=[
                *routes,
                Route(DOWNLOAD_PATH, self.downloads.serve),
                *(Route(path, _OnFirstRequest(self._v3_app)) for path in V3_PATHS),
            ],
            exception_handlers={404: _unknown_route, 405: _unknown_route},
        )

    def _v3_app(self) -> ASGIApp:
        """The application of v3, imported here so that the start of v1 does not pay for it."""
        from devin_mcp.sandbox.v3.app import v3_app

        return v3_app(self._organizations_of, self.downloads)

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


class _OnFirstRequest:
    """An ASGI application that is made when the first request arrives."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = cache(make)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._make()(scope, receive, send)


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
