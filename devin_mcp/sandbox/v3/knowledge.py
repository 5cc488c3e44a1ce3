"""Knowledge notes and folders of v3 (v3.md §6)."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.organization import Organization, format_time, new_id
from devin_mcp.sandbox.request import ApiError, SandboxRequest
from devin_mcp.sandbox.v3.bodies import read_body
from devin_mcp.sandbox.v3.page import page, seconds


async def list_notes(request: SandboxRequest) -> Response:
    query = request.http.query_params
    search = query.get("search", "").lower()
    rows = [
        row
        for note in request.organization.notes.values()
        for row in [_note_row(note, request.organization)]
        if search in f"{row['name']}\n{row['body']}\n{row['trigger']}".lower()
        and query.get("folder_path") in {None, row["folder_path"]}
        and query.get("pinned_repo") in {None, row["pinned_repo"]}
    ]
    return page(request, rows, "note_id")


async def create_note(request: SandboxRequest) -> Response:
    note_id = new_id("note")
    note = {
        "id": note_id,
        "created_at": format_time(request.organization.clock.now()),
        "created_by": None,
        "macro": None,
    }
    return await _write(request, note)


async def get_note(request: SandboxRequest) -> Response:
    return JSONResponse(_note_row(_note(request), request.organization))


async def update_note(request: SandboxRequest) -> Response:
    return await _write(request, _note(request))


async def _write(request: SandboxRequest, note: dict[str, Any]) -> Response:
    """Rebuild folder and pin from the request. `is_enabled` stays if left out
    (v3-additions.md §6).
    """
    body = await read_body(request.http, "KnowledgeNoteWrite")
    organization = request.organization
    note |= {
        "name": body["name"],
        "body": body["body"],
        "trigger_description": body["trigger"],
        "parent_folder_id": body.get("folder_id"),
        "pinned_repo": body.get("pinned_repo"),
    }
    organization.notes[note["id"]] = note
    organization.set_extra(note["id"], updated_at=format_time(organization.clock.now()))
    if body.get("is_enabled") is not None:
        organization.set_extra(note["id"], is_enabled=body["is_enabled"])
    return JSONResponse(_note_row(note, organization))


async def delete_note(request: SandboxRequest) -> Response:
    note = _note(request)
    del request.organization.notes[note["id"]]
    return JSONResponse(_note_row(note, request.organization))


async def list_folders(request: SandboxRequest) -> Response:
    organization = request.organization
    parents = [note["parent_folder_id"] for note in organization.notes.values()]
    folders = [
        {
            "folder_id": folder["id"],
            "name": folder["name"],
            "path": _path(folder),
            "note_count": parents.count(folder["id"]),
            "parent_folder_id": None,
        }
        for folder in organization.folders
    ]
    return JSONResponse({"folders": folders, "root_note_count": parents.count(None)})


def _note(request: SandboxRequest) -> dict[str, Any]:
    note = request.organization.notes.get(request.http.path_params["note_id"])
    if note is None:
        raise ApiError(404, "Note not found")
    return note


def _path(folder: dict[str, Any]) -> str:
    return f"/{folder['name']}"


def _note_row(note: dict[str, Any], organization: Organization) -> dict[str, Any]:
    extra = organization.extras.get(note["id"], {})
    folder_id = note["parent_folder_id"]
    paths = {folder["id"]: _path(folder) for folder in organization.folders}
    return {
        "note_id": note["id"],
        "name": note["name"],
        "body": note["body"],
        "trigger": note["trigger_description"],
        "is_enabled": extra.get("is_enabled", True),
        "folder_id": folder_id,
        "folder_path": paths.get(folder_id),
        "pinned_repo": note["pinned_repo"],
        "macro": note["macro"],
        "access_type": "org",
        "org_id": organization.org_id,
        "created_at": seconds(note["created_at"]),
        "updated_at": seconds(extra.get("updated_at", note["created_at"])),
    }
