"""What a handler of the simulated API gets, and how it refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from devin_mcp.sandbox.downloads import Downloads
from devin_mcp.sandbox.organization import Organization


@dataclass(frozen=True)
class SandboxRequest:
    """An authenticated request and the organization of its key."""

    http: Request
    organization: Organization
    downloads: Downloads


class ApiError(Exception):
    """A status other than 2xx, with the `detail` of its JSON body."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


Handler = Callable[[SandboxRequest], Awaitable[Response]]
