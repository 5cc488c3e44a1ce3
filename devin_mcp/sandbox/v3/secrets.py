"""Secrets of v3 (v3.md §8). Values are never stored."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.organization import Organization, format_time, new_id
from devin_mcp.sandbox.request import ApiError, SandboxRequest
from devin_mcp.sandbox.scripts import USER_ID
from devin_mcp.sandbox.v3.bodies import read_body
from devin_mcp.sandbox.v3.page import page, seconds


async def list_secrets(request: SandboxRequest) -> Response:
    organization = request.organization
    rows = [_secret_row(secret, organization) for secret in organization.secrets.values()]
    return page(request, rows, "secret_id")


async def create_secret(request: SandboxRequest) -> Response:
    body = await read_body(request.http, "SecretCreateRequest")
    organization = request.organization
    if any(secret["key"] == body["key"] for secret in organization.secrets.values()):
        raise ApiError(409, "A secret with this key exists")
    secret_id = new_id("secret")
    secret = {
        "id": secret_id,
        "type": body["type"],
        "key": body["key"],
        "created_at": format_time(organization.clock.now()),
    }
    organization.secrets[secret_id] = secret
    is_sensitive = body.get("is_sensitive") is not False
    organization.set_extra(
        secret_id,
        is_sensitive=is_sensitive,
        note=body.get("note"),
        created_by=request.creator_id,
    )
    return JSONResponse(_secret_row(secret, organization))


async def delete_secret(request: SandboxRequest) -> Response:
    """A secret that is gone is a 403, as a missing permission is (v3-additions.md §8)."""
    secret = request.organization.secrets.pop(request.http.path_params["secret_id"], None)
    if secret is None:
        raise ApiError(403, "Forbidden")
    return JSONResponse(_secret_row(secret, request.organization))


def _secret_row(secret: dict[str, Any], organization: Organization) -> dict[str, Any]:
    extra = organization.extras.get(secret["id"], {})
    return {
        "secret_id": secret["id"],
        "key": secret["key"],
        "note": extra.get("note"),
        "is_sensitive": extra.get("is_sensitive", True),
        "secret_type": secret["type"],
        "access_type": "org",
        "created_at": seconds(secret["created_at"]),
        "created_by": extra.get("created_by", USER_ID),
        "updated_at": None,
        "updated_by": None,
    }
