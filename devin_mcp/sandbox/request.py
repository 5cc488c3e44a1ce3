"""What a handler of the simulated API gets, and how it refuses."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from devin_mcp.keys import api_of
from devin_mcp.sandbox.downloads import Downloads
from devin_mcp.sandbox.organization import Organization
from devin_mcp.sandbox.request_bodies import InvalidRequest
from devin_mcp.sandbox.scripts import USER_ID, script_in

KeyKind = Literal["v1", "service", "pat", "enterprise"]

_V3_KEY = re.compile(r"cog_sandbox(?:_(pat|enterprise)(?![a-z]))?(.*)")


@dataclass(frozen=True)
class SandboxKey:
    """A key that the sandbox accepts."""

    kind: KeyKind
    organization_key: str
    """The key of v1 for the same organization: `cog_sandbox_pat-x` is the PAT beside
    `apk_sandbox-x`.
    """

    @classmethod
    def of(cls, text: str) -> SandboxKey | None:
        """The key, if it is one of v1 or begins with `cog_sandbox`."""
        if api_of(text) == "v1":
            return cls("v1", text)
        match = _V3_KEY.fullmatch(text)
        if match is None:
            return None
        kinds: dict[str | None, KeyKind] = {"pat": "pat", "enterprise": "enterprise"}
        return cls(kinds.get(match[1], "service"), f"apk_sandbox{match[2]}")


@dataclass(frozen=True)
class SandboxRequest:
    """An authenticated request and the organization of its key."""

    http: Request
    organization: Organization
    downloads: Downloads
    creator_id: str = USER_ID
    """The user or service user of the key."""
    kind: KeyKind = "v1"
    organizations: Sequence[Organization] = ()
    """All organizations of the key."""


class ApiError(Exception):
    """A status other than 2xx, with the `detail` of its JSON body."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def check_creation(organization: Organization, prompt: str) -> None:
    """Raise ApiError if no session may be started: the quota is used up, or too many run."""
    for session in organization.sessions.values():
        session.run_due_events()
    script = script_in(prompt)
    if script == "quota":
        raise ApiError(403, "Your organization has a billing error. Error: out_of_quota")
    running = organization.running()
    if script == "session-limit" or running >= organization.parallel:
        raise ApiError(
            429,
            f"You have {running} SWE-2 sessions running, "
            "the most the free SWE-2 promotion allows at once.",
        )


async def read_file(request: SandboxRequest) -> tuple[str, str, bytes]:
    """Name, media type and content of the multipart field `file`. Raises InvalidRequest."""
    async with request.http.form() as form:
        file = form.get("file")
        if file is None or isinstance(file, str) or set(form) != {"file"}:
            raise InvalidRequest("file", "Field required")
        return file.filename or "file", file.content_type or "", await file.read()


def redirect_to_file(request: SandboxRequest) -> Response:
    """A redirect to the file of the path's `uuid` and `name`."""
    parameters = request.http.path_params
    file = request.organization.files.get((parameters["uuid"], parameters["name"]))
    if file is None:
        raise ApiError(404, "Attachment not found")
    path = request.downloads.path_for(*file)
    return RedirectResponse(f"http://127.0.0.1:{request.http.url.port or 80}{path}", 307)


Handler = Callable[[SandboxRequest], Awaitable[Response]]
