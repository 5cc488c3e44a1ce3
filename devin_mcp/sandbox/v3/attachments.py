"""Attachments of v3 (v3.md §9)."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.organization import WEB_URL
from devin_mcp.sandbox.request import SandboxRequest, read_file, redirect_to_file


async def upload_attachment(request: SandboxRequest) -> Response:
    name, media_type, content = await read_file(request)
    url = request.organization.store(name, media_type, content)
    attachment_id = url.removeprefix(f"{WEB_URL}/attachments/").partition("/")[0]
    return JSONResponse({"attachment_id": attachment_id, "name": name, "url": url})


async def download_attachment(request: SandboxRequest) -> Response:
    return redirect_to_file(request)
