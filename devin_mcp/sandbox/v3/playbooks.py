"""Playbooks of v3 (v3.md §7)."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.organization import Organization, format_time, new_id
from devin_mcp.sandbox.request import ApiError, SandboxRequest
from devin_mcp.sandbox.sample_data import playbook
from devin_mcp.sandbox.v3.bodies import read_body
from devin_mcp.sandbox.v3.page import page, seconds


async def list_playbooks(request: SandboxRequest) -> Response:
    organization = request.organization
    rows = [_playbook_row(record, organization) for record in organization.playbooks.values()]
    return page(request, rows, "playbook_id")


async def create_playbook(request: SandboxRequest) -> Response:
    body = await read_body(request.http, "PlaybookWrite")
    organization = request.organization
    playbook_id = new_id("playbook")
    now = format_time(organization.clock.now())
    record = playbook(playbook_id, body["title"], body["body"], body.get("macro"), now)
    record |= {"created_by_user_id": request.creator_id, "org_id": organization.org_id}
    organization.playbooks[playbook_id] = record
    organization.set_extra(
        playbook_id, structured_output_schema=body.get("structured_output_schema")
    )
    return JSONResponse(_playbook_row(record, organization))


async def get_playbook(request: SandboxRequest) -> Response:
    return JSONResponse(_playbook_row(_playbook(request), request.organization))


async def update_playbook(request: SandboxRequest) -> Response:
    """A field that is left out stays; an explicit null clears it (v3-additions.md §7)."""
    record = _playbook(request)
    body = await read_body(request.http, "PlaybookWrite")
    organization = request.organization
    if "structured_output_schema" in body:
        schema = body.pop("structured_output_schema")
        organization.set_extra(record["playbook_id"], structured_output_schema=schema)
    now = format_time(organization.clock.now())
    record |= body | {"updated_at": now, "updated_by_user_id": request.creator_id}
    return JSONResponse(_playbook_row(record, organization))


async def delete_playbook(request: SandboxRequest) -> Response:
    record = _playbook(request)
    del request.organization.playbooks[record["playbook_id"]]
    return JSONResponse(_playbook_row(record, request.organization))


def _playbook(request: SandboxRequest) -> dict[str, Any]:
    record = request.organization.playbooks.get(request.http.path_params["playbook_id"])
    if record is None:
        raise ApiError(404, "Playbook not found")
    return record


def _playbook_row(record: dict[str, Any], organization: Organization) -> dict[str, Any]:
    extra = organization.extras.get(record["playbook_id"], {})
    created_by = record["created_by_user_id"]
    return {
        "playbook_id": record["playbook_id"],
        "title": record["title"],
        "body": record["body"],
        "macro": record["macro"],
        "structured_output_schema": extra.get("structured_output_schema"),
        "access_type": "org",
        "org_id": organization.org_id,
        "created_at": seconds(record["created_at"]),
        "updated_at": seconds(record["updated_at"]),
        "created_by": created_by,
        "updated_by": record["updated_by_user_id"] or created_by,
    }
