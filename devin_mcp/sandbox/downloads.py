"""Presigned download links, as the storage behind the API serves them: without a key."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from devin_mcp.sandbox.organization import SandboxClock

LINK_TTL_SECONDS = 60
DOWNLOAD_PATH = "/_presigned/{token}"


@dataclass(frozen=True)
class _Download:
    expires_at: datetime
    media_type: str
    content: bytes


@dataclass
class Downloads:
    """The links that were handed out."""

    clock: SandboxClock
    _by_token: dict[str, _Download] = field(default_factory=dict)

    def path_for(self, media_type: str, content: bytes) -> str:
        """Register a download link for a file and return the path of its URL."""
        token = uuid.uuid4().hex
        expires_at = self.clock.now() + timedelta(seconds=LINK_TTL_SECONDS)
        self._by_token[token] = _Download(expires_at, media_type, content)
        return DOWNLOAD_PATH.format(token=token)

    async def serve(self, request: Request) -> Response:
        """Handler of DOWNLOAD_PATH. Errors are XML, as S3 sends them."""
        download = self._by_token.get(request.path_params["token"])
        if download is None or self.clock.now() > download.expires_at:
            return _error(403, "AccessDenied")
        if "authorization" in request.headers:  # S3 accepts one kind of authentication at a time
            return _error(400, "InvalidArgument")
        return Response(download.content, media_type=download.media_type)


def _error(status: int, code: str) -> Response:
    return Response(f"<Error><Code>{code}</Code></Error>", status, media_type="application/xml")
