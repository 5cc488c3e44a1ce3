"""Handlers and routes of v1, with the quirks observed on the real API (devin-api/v1.md)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.organization import USER_EMAIL, WEB_URL, format_time, new_id
from devin_mcp.sandbox.request import (
    ApiError,
    Handler,
    SandboxRequest,
    check_creation,
    read_file,
    redirect_to_file,
)
from devin_mcp.sandbox.request_bodies import read_body, read_integer
from devin_mcp.sandbox.sample_data import playbook
from devin_mcp.sandbox.scripts import SimulatedSession, State

STATUS: dict[State, str | None] = {
    "queued": None,
    "working": "working",
    "waiting": "blocked",
    "done": "finished",
    "sleeping": "suspended",
    "held": "suspended",
    "expired": "expired",
    "stopped": "stopped",
}
"""State -> `status_enum` (v1.md §3.5)."""


async def list_sessions(request: SandboxRequest) -> Response:
    query = request.http.query_params
    tags = set(query.getlist("tags"))
    sessions = [
        session
        for session in reversed(request.organization.sessions.values())
        if tags <= set(session.tags)
        and not session.body.get("unlisted")
        and query.get("user_email") in (None, USER_EMAIL)
    ]
    for session in sessions:
        session.run_due_events()
    offset, limit = read_integer(query, "offset", 0), read_integer(query, "limit", 100)
    rows = [_summary(session) | {"requesting_user_email": USER_EMAIL} for session in sessions]
    return JSONResponse({"sessions": rows[offset : offset + limit]})


async def create_session(request: SandboxRequest) -> Response:
    body = await read_body(request.http, "CreateSessionRequest")
    organization = request.organization
    if body.get("idempotent"):
        for session in reversed(organization.sessions.values()):
            if session.body["prompt"] == body["prompt"]:
                return JSONResponse(_created(session) | {"is_new_session": False})
    check_creation(organization, body["prompt"])
    session = organization.start_session(body)
    is_new = {"is_new_session": True} if body.get("idempotent") else {}
    return JSONResponse(_created(session) | is_new)


async def get_session(request: SandboxRequest) -> Response:
    session = _session(request)
    messages = [] if session.state == "working" else session.readable()  # v1.md §3.6
    return JSONResponse(_summary(session) | {"messages": messages})


async def send_message(request: SandboxRequest) -> Response:
    session = _session(request)
    body = await read_body(request.http, "SendMessageRequest")
    if session.is_over:
        raise ApiError(400, "Session is no longer running")
    if session.is_initializing:
        raise ApiError(400, "Devin session still initializing")
    remark = session.receive_message(body["message"])
    return JSONResponse({"detail": remark} if remark else None)


async def terminate_session(request: SandboxRequest) -> Response:
    session = _session(request)
    if session.is_over:
        raise ApiError(400, "Session has already exited")
    session.terminate()
    return JSONResponse({"detail": "Session terminated"})


async def update_session_tags(request: SandboxRequest) -> Response:
    session = _session(request)
    session.tags = (await read_body(request.http, "UpdateTagsRequest"))["tags"]
    return JSONResponse({"detail": "Tags updated"})


def _session(request: SandboxRequest) -> SimulatedSession:
    session = request.organization.sessions.get(request.http.path_params["session_id"])
    if session is None:
        raise ApiError(404, "Session not found")
    session.run_due_events()
    return session


def _created(session: SimulatedSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "url": f"{WEB_URL}/sessions/{session.session_id.removeprefix('devin-')}",
    }


def _summary(session: SimulatedSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "status": STATUS[session.state] if session.is_over else "running",
        "status_enum": STATUS[session.state],
        "title": session.title,
        "created_at": format_time(session.created_at),
        "updated_at": format_time(session.updated_at),
        "tags": session.tags,
        "playbook_id": session.body.get("playbook_id"),
        "snapshot_id": session.body.get("snapshot_id"),
        "structured_output": session.structured_output,
        "pull_request": {"url": session.pull_request} if session.pull_request else None,
    }


async def upload_attachment(request: SandboxRequest) -> Response:
    return JSONResponse(request.organization.store(*await read_file(request)))


async def download_attachment(request: SandboxRequest) -> Response:
    return redirect_to_file(request)


async def list_secrets(request: SandboxRequest) -> Response:
    return JSONResponse(list(request.organization.secrets.values()))


async def create_secret(request: SandboxRequest) -> Response:
    body = await read_body(request.http, "CreateSecretRequest")
    secrets = request.organization.secrets
    if any(secret["key"] == body["key"] for secret in secrets.values()):
        raise ApiError(409, "A secret with this key exists")
    secret_id = new_id("secret")
    secrets[secret_id] = {
        "id": secret_id,
        "type": body["type"],
        "key": body["key"],
        "created_at": _now(request),
    }
    request.organization.set_extra(secret_id, is_sensitive=body["sensitive"], note=body["note"])
    return JSONResponse({"id": secret_id})


async def delete_secret(request: SandboxRequest) -> Response:
    if request.organization.secrets.pop(request.http.path_params["secret_id"], None) is None:
        raise ApiError(404, "Secret not found")
    return JSONResponse({"message": "Secret deleted"})


async def list_knowledge(request: SandboxRequest) -> Response:
    notes = list(request.organization.notes.values())
    return JSONResponse({"folders": request.organization.folders, "knowledge": notes})


async def create_knowledge(request: SandboxRequest) -> Response:
    note_id = new_id("note")
    note = {"id": note_id, "created_at": _now(request), "created_by": None}
    note |= await _read_note(request.http)
    request.organization.notes[note_id] = note
    return JSONResponse(note)


async def update_knowledge(request: SandboxRequest) -> Response:
    note = request.organization.notes.get(request.http.path_params["note_id"])
    if note is None:
        raise ApiError(404, "Note not found")
    note.update(await _read_note(request.http))
    request.organization.set_extra(note["id"], updated_at=_now(request))
    return JSONResponse(note)


async def _read_note(http: Request) -> dict[str, Any]:
    """The fields of a note. Optional ones that were not sent are reset, because PUT replaces the
    note.
    """
    defaults = {"parent_folder_id": None, "macro": None, "pinned_repo": None}
    return defaults | await read_body(http, "KnowledgeWrite")


async def delete_knowledge(request: SandboxRequest) -> Response:
    if request.organization.notes.pop(request.http.path_params["note_id"], None) is None:
        raise ApiError(404, "Note not found")
    return Response(status_code=204)


async def list_playbooks(request: SandboxRequest) -> Response:
    return JSONResponse(list(request.organization.playbooks.values()))


async def create_playbook(request: SandboxRequest) -> Response:
    body = await read_body(request.http, "PlaybookWrite")
    playbook_id = new_id("playbook")
    record = playbook(playbook_id, body["title"], body["body"], body.get("macro"), _now(request))
    request.organization.playbooks[playbook_id] = record
    return JSONResponse(record)


async def get_playbook(request: SandboxRequest) -> Response:
    return JSONResponse(_playbook(request))


async def update_playbook(request: SandboxRequest) -> Response:
    record = _playbook(request)
    fields = {"macro": None} | await read_body(request.http, "PlaybookWrite")
    record.update(fields | {"updated_at": _now(request)})
    return JSONResponse({"status": "success"})


async def delete_playbook(request: SandboxRequest) -> Response:
    del request.organization.playbooks[_playbook(request)["playbook_id"]]
    return JSONResponse({"status": "success"})


def _playbook(request: SandboxRequest) -> dict[str, Any]:
    record = request.organization.playbooks.get(request.http.path_params["playbook_id"])
    if record is None:
        raise ApiError(404, "Playbook not found")
    return record


def _now(request: SandboxRequest) -> str:
    return format_time(request.organization.clock.now())


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/v1/sessions"): list_sessions,
    ("POST", "/v1/sessions"): create_session,
    ("GET", "/v1/sessions/{session_id}"): get_session,
    ("DELETE", "/v1/sessions/{session_id}"): terminate_session,
    ("POST", "/v1/sessions/{session_id}/message"): send_message,
    ("PUT", "/v1/sessions/{session_id}/tags"): update_session_tags,
    ("POST", "/v1/attachments"): upload_attachment,
    ("GET", "/v1/attachments/{uuid}/{name}"): download_attachment,
    ("GET", "/v1/secrets"): list_secrets,
    ("POST", "/v1/secrets"): create_secret,
    ("DELETE", "/v1/secrets/{secret_id}"): delete_secret,
    ("GET", "/v1/knowledge"): list_knowledge,
    ("POST", "/v1/knowledge"): create_knowledge,
    ("PUT", "/v1/knowledge/{note_id}"): update_knowledge,
    ("DELETE", "/v1/knowledge/{note_id}"): delete_knowledge,
    ("GET", "/v1/playbooks"): list_playbooks,
    ("POST", "/v1/playbooks"): create_playbook,
    ("GET", "/v1/playbooks/{playbook_id}"): get_playbook,
    ("PUT", "/v1/playbooks/{playbook_id}"): update_playbook,
    ("DELETE", "/v1/playbooks/{playbook_id}"): delete_playbook,
}
