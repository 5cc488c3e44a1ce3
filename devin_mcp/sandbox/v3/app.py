"""Routes, keys and errors of v3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devin_mcp.keys import api_of
from devin_mcp.sandbox.downloads import Downloads
from devin_mcp.sandbox.organization import Organization
from devin_mcp.sandbox.request import ApiError, Handler, SandboxKey, SandboxRequest
from devin_mcp.sandbox.request_bodies import InvalidRequest
from devin_mcp.sandbox.scripts import SERVICE_USER_ID, USER_ID
from devin_mcp.sandbox.v3 import (
    account,
    attachments,
    consumption,
    insights,
    knowledge,
    playbooks,
    repositories,
    schedules,
    secrets,
    sessions,
)

PAGE = frozenset({"first", "after"})
NONE: frozenset[str] = frozenset()
ORGANIZATION = "/v3/organizations/{org_id}"
SESSION = f"{ORGANIZATION}/sessions/{{devin_id}}"
NOTES = f"{ORGANIZATION}/knowledge/notes"
PLAYBOOKS = f"{ORGANIZATION}/playbooks"
SCHEDULE = f"{ORGANIZATION}/schedules/{{schedule_id}}"

ROUTES: dict[tuple[str, str], tuple[Handler, frozenset[str]]] = {
    ("GET", "/v3/self"): (account.get_self, NONE),
    ("GET", "/v3/enterprise/organizations"): (account.list_organizations, PAGE),
    ("GET", f"{ORGANIZATION}/sessions"): (sessions.list_sessions, PAGE | sessions.FILTERS),
    ("POST", f"{ORGANIZATION}/sessions"): (sessions.create_session, NONE),
    ("GET", f"{ORGANIZATION}/sessions/insights"): (
        insights.list_insights,
        PAGE | sessions.FILTERS,
    ),
    ("GET", SESSION): (sessions.get_session, NONE),
    ("DELETE", SESSION): (sessions.terminate_session, frozenset({"archive"})),
    ("POST", f"{SESSION}/archive"): (sessions.archive_session, NONE),
    ("POST", f"{SESSION}/unarchive"): (sessions.unarchive_session, NONE),
    ("GET", f"{SESSION}/messages"): (sessions.list_messages, PAGE),
    ("POST", f"{SESSION}/messages"): (sessions.send_message, NONE),
    ("GET", f"{SESSION}/tags"): (sessions.get_tags, NONE),
    ("POST", f"{SESSION}/tags"): (sessions.append_tags, NONE),
    ("PUT", f"{SESSION}/tags"): (sessions.replace_tags, NONE),
    ("GET", f"{SESSION}/attachments"): (sessions.list_attachments, NONE),
    ("GET", f"{SESSION}/insights"): (insights.get_insights, NONE),
    ("POST", f"{SESSION}/insights/generate"): (insights.generate_insights, NONE),
    ("GET", NOTES): (knowledge.list_notes, PAGE | {"folder_path", "pinned_repo", "search"}),
    ("POST", NOTES): (knowledge.create_note, NONE),
    ("GET", f"{NOTES}/{{note_id}}"): (knowledge.get_note, NONE),
    ("PUT", f"{NOTES}/{{note_id}}"): (knowledge.update_note, NONE),
    ("DELETE", f"{NOTES}/{{note_id}}"): (knowledge.delete_note, NONE),
    ("GET", f"{ORGANIZATION}/knowledge/folders"): (knowledge.list_folders, NONE),
    ("GET", PLAYBOOKS): (playbooks.list_playbooks, PAGE),
    ("POST", PLAYBOOKS): (playbooks.create_playbook, NONE),
    ("GET", f"{PLAYBOOKS}/{{playbook_id}}"): (playbooks.get_playbook, NONE),
    ("PUT", f"{PLAYBOOKS}/{{playbook_id}}"): (playbooks.update_playbook, NONE),
    ("DELETE", f"{PLAYBOOKS}/{{playbook_id}}"): (playbooks.delete_playbook, NONE),
    ("GET", f"{ORGANIZATION}/secrets"): (secrets.list_secrets, PAGE),
    ("POST", f"{ORGANIZATION}/secrets"): (secrets.create_secret, NONE),
    ("DELETE", f"{ORGANIZATION}/secrets/{{secret_id}}"): (secrets.delete_secret, NONE),
    ("POST", f"{ORGANIZATION}/attachments"): (attachments.upload_attachment, NONE),
    ("GET", f"{ORGANIZATION}/attachments/{{uuid}}/{{name}}"): (
        attachments.download_attachment,
        NONE,
    ),
    ("GET", f"{ORGANIZATION}/schedules"): (schedules.list_schedules, schedules.PLACE),
    ("POST", f"{ORGANIZATION}/schedules"): (schedules.create_schedule, NONE),
    ("GET", SCHEDULE): (schedules.get_schedule, NONE),
    ("PATCH", SCHEDULE): (schedules.update_schedule, NONE),
    ("DELETE", SCHEDULE): (schedules.delete_schedule, NONE),
    ("GET", f"{ORGANIZATION}/consumption/daily"): (consumption.daily, consumption.TIMES),
    ("GET", f"{ORGANIZATION}/consumption/daily/sessions/{{session_id}}"): (
        consumption.daily_of_session,
        consumption.TIMES,
    ),
    ("GET", "/v3beta1/organizations/{org_id}/repositories"): (
        repositories.list_repositories,
        PAGE | repositories.FILTERS,
    ),
    ("GET", "/v3beta1/organizations/{org_id}/members/users"): (
        account.list_users,
        PAGE | {"email"},
    ),
}
"""Method and path -> handler and the query parameters that exist. Others are a 422, which the real
API does not do: a test shall notice parameters of ours that do not exist.
"""

OrganizationsOf = Callable[[SandboxKey], list[Organization]]


def v3_app(organizations_of: OrganizationsOf, downloads: Downloads) -> Starlette:
    """The ASGI application of v3."""

    def endpoint(handler: Handler, names: frozenset[str]) -> Callable[..., Awaitable[Response]]:
        async def serve(http: Request) -> Response:
            organization = None
            try:
                key = _authenticate(http)
                organizations = organizations_of(key)
                organization = organizations[0]
                organization = _organization(http, organizations)
                creator_id = USER_ID if key.kind == "pat" else SERVICE_USER_ID
                _check_query(http, names)
                request = SandboxRequest(
                    http, organization, downloads, creator_id, key.kind, organizations
                )
                return await handler(request)
            except ApiError as error:
                return _error(organization, error.status, error.detail)
            except InvalidRequest as error:
                return _error(organization, 422, error.detail)

        return serve

    routes = [
        Route(path, endpoint(handler, names), methods=[method])
        for (method, path), (handler, names) in ROUTES.items()
    ]
    return Starlette(routes=routes, exception_handlers={404: _refuse_route, 405: _refuse_route})


def _authenticate(http: Request) -> SandboxKey:
    """The key of the request. A key of v1 and a wrong key are a 403 (v3-additions.md §11)."""
    scheme, _, text = http.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise ApiError(401, "Unauthenticated")
    if api_of(text) == "v1":
        raise ApiError(403, "This key is for another API")
    key = SandboxKey.of(text)
    if key is None:
        raise ApiError(403, "Invalid API key")
    return key


def _organization(http: Request, organizations: list[Organization]) -> Organization:
    org_id = http.path_params.get("org_id", organizations[0].org_id)
    for organization in organizations:
        if organization.org_id == org_id:
            return organization
    raise ApiError(403, "This key has no access to this organization")


def _check_query(http: Request, names: frozenset[str]) -> None:
    for name in http.query_params:
        if name not in names:
            raise InvalidRequest(name, "Extra inputs are not permitted", location="query")


def _error(organization: Organization | None, status: int, detail: Any) -> Response:
    """`{"detail"}`; after a prompt with `sandbox:problem-json` an RFC 9457 document (v3.md §11)."""
    if organization is None or "problem-json" not in organization.words:
        return JSONResponse({"detail": detail}, status)
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail if isinstance(detail, str) else detail[0]["msg"],
    }
    if status == 422:
        problem["errors"] = detail
    return JSONResponse(problem, status, media_type="application/problem+json")


async def _refuse_route(_: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return JSONResponse({"detail": HTTPStatus(status).phrase}, status)
