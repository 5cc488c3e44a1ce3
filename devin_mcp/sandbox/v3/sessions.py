"""Sessions of v3 (v3.md §4 and §5)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.organization import WEB_URL, Organization
from devin_mcp.sandbox.request import ApiError, SandboxRequest, check_creation
from devin_mcp.sandbox.request_bodies import MAX_TAGS, InvalidRequest, read_integer
from devin_mcp.sandbox.scripts import SimulatedSession, State, words_in
from devin_mcp.sandbox.v3.bodies import read_body
from devin_mcp.sandbox.v3.page import page, read_boolean, seconds
from devin_mcp.sandbox.v3.schedules import run_due_schedules

STATUS: dict[State, tuple[str, str | None]] = {
    "queued": ("new", None),
    "working": ("running", "working"),
    "waiting": ("running", "waiting_for_user"),
    "done": ("running", "finished"),
    "sleeping": ("suspended", "inactivity"),
    "held": ("suspended", "out_of_quota"),
    "expired": ("exit", None),
    "stopped": ("exit", None),
}
"""State -> `status` and `status_detail` (v3.md §5.3, migration.md §6)."""

INACTIVITY_SECONDS = 3600
"""Time after which a session that waits or is done is suspended (v3.md §5.3). The real time is not
known.
"""
LISTED_FIELDS = ("structured_output", "status_detail", "category", "subcategory")
"""Only list and get fill these fields (v3.md §5.2)."""
LISTS = {
    "session_ids",
    "tags",
    "origins",
    "automation_ids",
    "user_ids",
    "service_user_ids",
    "repo_names",
}
"""Query parameters that may be repeated."""
TEXTS = {"playbook_id", "schedule_id", "parent_session_id", "category"}
TIMES = {"created_after", "created_before", "updated_after", "updated_before"}
FILTERS = LISTS | TEXTS | TIMES | {"is_archived"}


async def list_sessions(request: SandboxRequest) -> Response:
    run_due_schedules(request.organization)
    sessions = list(reversed(request.organization.sessions.values()))
    query = request.http.query_params
    is_archived = read_boolean(request, "is_archived")
    rows = []
    for session in sessions:
        session.run_due_events()
        row = session_row(session, request.organization)
        if is_archived in {None, session.is_archived} and _matches(session, row, query):
            rows.append(row)
    return page(request, rows, "session_id")


def _matches(session: SimulatedSession, row: dict[str, Any], query: QueryParams) -> bool:
    """Whether all filters but `is_archived` accept the session. All tags must be present, as in
    v1; v3 does not document it.
    """
    values = {
        "session_ids": {row["session_id"], session.session_id},
        "origins": {row["origin"]},
        "automation_ids": set(),
        "user_ids": {row["user_id"]},
        "service_user_ids": {row["service_user_id"]},
        "repo_names": set(session.body.get("repos") or []),
    }
    for name, present in values.items():
        if name in query and not present & set(query.getlist(name)):
            return False
    if not set(query.getlist("tags")) <= set(session.tags):
        return False
    if any(name in query and query[name] != row.get(name) for name in TEXTS):
        return False
    for name in TIMES & set(query):
        field, _, side = name.partition("_")
        limit, time = read_integer(query, name, 0), row[f"{field}_at"]
        if not (time > limit if side == "after" else time < limit):
            return False
    return True


async def create_session(request: SandboxRequest) -> Response:
    body = await read_body(request.http, "SessionCreateRequest")
    organization = request.organization
    words = words_in(body["prompt"])
    organization.words.update(words)
    if body.get("tags") and "refuse-tags" in words:
        _refuse_tags()
    if body.get("repos") and "refuse-repos" in words:
        raise InvalidRequest("repos", "repos are not available for this organization")
    check_creation(organization, body["prompt"])
    body["prompt"] = _with_attachments(body["prompt"], body)
    session = organization.start_session(body, body.get("create_as_user_id") or request.creator_id)
    if "lose-reply" in words:
        raise ApiError(504, "Gateway Timeout")
    return _changed(session, organization)


def _refuse_tags() -> None:
    raise InvalidRequest("tags", "tags must be in the organization's list of allowed tags")


def _with_attachments(text: str, body: dict[str, Any]) -> str:
    """The text with the files as lines of v1 (migration.md §3), so that both APIs have them."""
    urls = body.get("attachment_urls") or []
    return "\n".join([text, *(f'ATTACHMENT:"{url}"' for url in urls)])


async def get_session(request: SandboxRequest) -> Response:
    return JSONResponse(session_row(session_of(request), request.organization))


async def terminate_session(request: SandboxRequest) -> Response:
    session = session_of(request)
    archives = read_boolean(request, "archive")
    _check_alive(session)
    session.terminate()
    if archives:
        session.archive()
    return _changed(session, request.organization)


async def archive_session(request: SandboxRequest) -> Response:
    session = session_of(request)
    session.archive()
    return _changed(session, request.organization)


async def unarchive_session(request: SandboxRequest) -> Response:
    session = session_of(request)
    session.is_archived = False
    return _changed(session, request.organization)


async def list_messages(request: SandboxRequest) -> Response:
    rows = [
        {
            "event_id": message["event_id"],
            "source": "devin" if message["type"] == "devin_message" else "user",
            "message": message["message"],
            "created_at": seconds(message["timestamp"]),
        }
        for message in session_of(request).readable()
    ]
    return page(request, rows, "event_id")


async def send_message(request: SandboxRequest) -> Response:
    session = session_of(request)
    body = await read_body(request.http, "SessionMessageCreateRequest")
    _check_writable(session)
    _check_alive(session)
    session.receive_message(_with_attachments(body["message"], body))
    return _changed(session, request.organization)


async def get_tags(request: SandboxRequest) -> Response:
    return JSONResponse({"tags": session_of(request).tags})


async def append_tags(request: SandboxRequest) -> Response:
    session = session_of(request)
    return await _set_tags(request, session, session.tags)


async def replace_tags(request: SandboxRequest) -> Response:
    return await _set_tags(request, session_of(request), [])


async def _set_tags(
    request: SandboxRequest, session: SimulatedSession, present: list[str]
) -> Response:
    tags = (await read_body(request.http, "SessionTagsUpdateRequest"))["tags"]
    _check_writable(session)
    if tags and "refuse-tags" in words_in(session.body["prompt"]):
        _refuse_tags()
    tags = list(dict.fromkeys([*present, *tags]))
    if len(tags) > MAX_TAGS:
        raise InvalidRequest("tags", f"List should have at most {MAX_TAGS} items")
    session.tags = tags
    return JSONResponse({"tags": tags})


async def list_attachments(request: SandboxRequest) -> Response:
    """A bare array, as the reference has it; a guide page shows `{items}` (v3.md §5.7)."""
    attachments = []
    for message in session_of(request).readable():
        source = "devin" if message["type"] == "devin_message" else "user"
        for url in re.findall(r'^ATTACHMENT:"([^"]+)"$', message["message"], re.MULTILINE):
            file_id, _, name = url.removeprefix(f"{WEB_URL}/attachments/").partition("/")
            media_type, _ = request.organization.files.get((file_id, unquote(name)), (None, b""))
            attachments.append(
                {
                    "attachment_id": file_id,
                    "name": unquote(name),
                    "url": url,
                    "source": source,
                    "content_type": media_type,
                }
            )
    return JSONResponse(attachments)


def session_of(request: SandboxRequest, name: str = "devin_id") -> SimulatedSession:
    """The session that the path names, whose id needs the prefix; only archiving takes both forms
    (v3-additions.md §5.4).
    """
    session_id = request.http.path_params[name]
    if request.http.url.path.endswith("/archive") and not session_id.startswith("devin-"):
        session_id = f"devin-{session_id}"
    session = request.organization.sessions.get(session_id)
    if session is None:
        raise ApiError(404, "Session not found")
    session.run_due_events()
    return session


def _check_alive(session: SimulatedSession) -> None:
    if STATUS[session.state][0] == "exit":
        raise ApiError(400, "Session has already exited")


def _check_writable(session: SimulatedSession) -> None:
    """An archived session is read-only (v3.md §5.6). The status code is not documented."""
    if session.is_archived:
        raise ApiError(400, "Session is archived; unarchive it first")


def _changed(session: SimulatedSession, organization: Organization) -> Response:
    return JSONResponse(session_row(session, organization) | dict.fromkeys(LISTED_FIELDS))


def session_row(session: SimulatedSession, organization: Organization) -> dict[str, Any]:
    now = organization.clock.now()
    state, updated_at = session.state, session.updated_at
    sleeps_at = updated_at + timedelta(seconds=INACTIVITY_SECONDS)
    if state in {"waiting", "done"} and now >= sleeps_at:
        state, updated_at = "sleeping", sleeps_at
    status, status_detail = STATUS[state]
    bare_id = session.session_id.removeprefix("devin-")
    is_user = session.creator_id.startswith("user-")
    output = session.structured_output
    return {
        "session_id": bare_id,
        "url": f"{WEB_URL}/sessions/{bare_id}",
        "org_id": organization.org_id,
        "status": status,
        "status_detail": status_detail,
        "title": session.title,
        "tags": session.tags,
        "created_at": seconds(session.created_at),
        "updated_at": seconds(updated_at),
        "acus_consumed": None if state == "queued" else 0.0,
        "pull_requests": [{"pr_url": session.pull_request, "pr_state": "open"}]
        if session.pull_request
        else [],
        "structured_output": output if isinstance(output, dict) else None,
        "playbook_id": session.body.get("playbook_id"),
        "user_id": session.creator_id if is_user else None,
        "service_user_id": None if is_user else session.creator_id,
        "automation_id": None,
        "parent_session_id": None,
        "child_session_ids": [],
        "is_archived": session.is_archived,
        "origin": session.origin,
        "category": "other",
        "subcategory": "other",
        "devin_mode": session.body.get("devin_mode") or "normal",
    }
