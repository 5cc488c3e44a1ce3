"""The routes of the simulated API, with the oddities that were observed on the real one (devin-api/v1.md)."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from devin_mcp.sandbox.organization import WEB, Organization, SandboxClock, new_id, stamp
from devin_mcp.sandbox.request_bodies import BadBody, checked, whole_number
from devin_mcp.sandbox.sample_data import playbook, sample_organization
from devin_mcp.sandbox.scripts import SimulatedSession, word_in

PRESIGNED_FOR = 60
PARALLEL = 25

Handler = Callable[["Sandbox", Organization, Request], Awaitable[Response]]


class Refusal(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass
class Sandbox:
    """The simulated service. Tests hold it to drive its clock and to look at what really happened."""

    parallel: int = PARALLEL
    clock: SandboxClock = field(default_factory=SandboxClock)
    organizations: dict[str, Organization] = field(default_factory=dict)
    presigned: dict[str, tuple[Any, str, bytes]] = field(default_factory=dict)

    def organization(self, key: str) -> Organization:
        if key not in self.organizations:
            self.organizations[key] = sample_organization(self.clock, self.parallel)
        return self.organizations[key]

    def app(self) -> Starlette:
        routes = [
            Route(path, self._serving(handler), methods=[method])
            for (method, path), handler in ROUTES.items()
        ]
        return Starlette(
            routes=[*routes, Route("/_presigned/{token}", self._file)],
            exception_handlers={404: _unknown, 405: _unknown},
        )

    def _serving(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            try:
                return await handler(self, self.organization(_key(request)), request)
            except Refusal as refusal:
                return JSONResponse({"detail": refusal.detail}, refusal.status)
            except BadBody as bad:
                return JSONResponse({"detail": bad.detail}, 422)

        return serve

    async def _file(self, request: Request) -> Response:
        expires, media_type, data = self.presigned.get(
            request.path_params["token"], (None, "", b"")
        )
        if expires is None or self.clock.now() > expires:
            return Response(
                "<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml"
            )
        if "authorization" in request.headers:  # as S3 does: one way to sign in, not two
            return Response(
                "<Error><Code>InvalidArgument</Code></Error>", 400, media_type="application/xml"
            )
        return Response(data, media_type=media_type)


def sandbox_app() -> Starlette:
    return Sandbox().app()


def _key(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Refusal(401, "Not authenticated")
    if key.startswith("cog_"):
        raise Refusal(403, "This key is for another API")
    if not key.startswith("apk_"):
        raise Refusal(401, "Invalid API key")
    return key


async def _unknown(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": "Not Found"}, getattr(error, "status_code", 404))


def _life(organization: Organization, request: Request) -> SimulatedSession:
    life = organization.sessions.get(request.path_params["session_id"])
    if life is None:
        raise Refusal(404, "Session not found")
    life.play()
    return life


def _summary(life: SimulatedSession) -> dict[str, Any]:
    return {
        "session_id": life.session_id,
        "status": "running" if not life.is_over else life.status,
        "status_enum": life.status,
        "title": life.body.get("title") or f"{' '.join(life.body['prompt'].split())[:40]}…",
        "created_at": stamp(life.born),
        "updated_at": stamp(life.updated or life.born),
        "tags": life.tags,
        "playbook_id": life.body.get("playbook_id"),
        "snapshot_id": life.body.get("snapshot_id"),
        "structured_output": life.output,
        "pull_request": {"url": life.pull_request} if life.pull_request else None,
    }


async def list_sessions(box: Sandbox, organization: Organization, request: Request) -> Response:
    query = request.query_params
    wanted = set(query.getlist("tags"))
    lives = [
        life
        for life in reversed(organization.sessions.values())
        if wanted <= set(life.tags) and not life.body.get("unlisted")
    ]
    for life in lives:
        life.play()
    start, limit = whole_number(query, "offset", 0), whole_number(query, "limit", 100)
    rows = [_summary(life) | {"requesting_user_email": "you@sandbox.invalid"} for life in lives]
    rows = [row for row in rows if query.get("user_email") in (None, row["requesting_user_email"])]
    return JSONResponse({"sessions": rows[start : start + limit]})


async def create_session(box: Sandbox, organization: Organization, request: Request) -> Response:
    body = await checked(request, "CreateSessionRequest")
    for life in reversed(organization.sessions.values()):
        if body.get("idempotent") and life.body["prompt"] == body["prompt"]:
            return JSONResponse(_started(life) | {"is_new_session": False})
    for life in organization.sessions.values():
        life.play()
    word = word_in(body["prompt"])
    if word == "quota":
        raise Refusal(403, "Your organization has a billing error. Error: out_of_quota")
    if word == "session-limit" or organization.running() >= organization.parallel:
        raise Refusal(
            429,
            f"You have {organization.running()} SWE-2 sessions running, the most the free SWE-2 promotion allows at once.",
        )
    life = SimulatedSession(
        new_id("devin"),
        body,
        box.clock.now(),
        box.clock.now,
        organization.store,
        tags=list(body.get("tags") or []),
    )
    organization.sessions[life.session_id] = life
    return JSONResponse(
        _started(life) | ({"is_new_session": True} if body.get("idempotent") else {})
    )


def _started(life: SimulatedSession) -> dict[str, Any]:
    return {
        "session_id": life.session_id,
        "url": f"{WEB}/sessions/{life.session_id.removeprefix('devin-')}",
    }


async def get_session(box: Sandbox, organization: Organization, request: Request) -> Response:
    life = _life(organization, request)
    return JSONResponse(_summary(life) | {"messages": life.readable()})


async def send_message(box: Sandbox, organization: Organization, request: Request) -> Response:
    life = _life(organization, request)
    body = await checked(request, "SendMessageRequest")
    if life.is_over:
        raise Refusal(400, "Session is no longer running")
    if life.is_initializing:
        raise Refusal(400, "Devin session still initializing")
    remark = life.hear(body["message"])
    return JSONResponse({"detail": remark} if remark else None)


async def terminate_session(box: Sandbox, organization: Organization, request: Request) -> Response:
    life = _life(organization, request)
    if life.is_over:
        raise Refusal(400, "Session has already exited")
    life.stop()
    return JSONResponse({"detail": "Session terminated"})


async def update_session_tags(
    box: Sandbox, organization: Organization, request: Request
) -> Response:
    life = _life(organization, request)
    life.tags = (await checked(request, "UpdateTagsRequest"))["tags"]
    return JSONResponse({"detail": "Tags updated"})


async def upload_attachment(box: Sandbox, organization: Organization, request: Request) -> Response:
    async with request.form() as form:
        file = form.get("file")
        if file is None or isinstance(file, str) or set(form) != {"file"}:
            raise BadBody("file", "Field required")
        return JSONResponse(
            organization.store(file.filename or "file", file.content_type or "", await file.read())
        )


async def download_attachment(
    box: Sandbox, organization: Organization, request: Request
) -> Response:
    stored = organization.files.get((request.path_params["uuid"], request.path_params["name"]))
    if stored is None:
        raise Refusal(404, "Attachment not found")
    token = uuid.uuid4().hex
    box.presigned[token] = (box.clock.now() + timedelta(seconds=PRESIGNED_FOR), *stored)
    return RedirectResponse(f"http://127.0.0.1:{request.url.port or 80}/_presigned/{token}", 307)


async def list_secrets(box: Sandbox, organization: Organization, request: Request) -> Response:
    return JSONResponse(list(organization.secrets.values()))


async def create_secret(box: Sandbox, organization: Organization, request: Request) -> Response:
    body = await checked(request, "CreateSecretRequest")
    if any(secret["key"] == body["key"] for secret in organization.secrets.values()):
        raise Refusal(409, "A secret with this key exists")
    secret_id = new_id("secret")
    organization.secrets[secret_id] = {
        "id": secret_id,
        "type": body["type"],
        "key": body["key"],
        "created_at": stamp(box.clock.now()),
    }
    return JSONResponse({"id": secret_id})


async def delete_secret(box: Sandbox, organization: Organization, request: Request) -> Response:
    if organization.secrets.pop(request.path_params["secret_id"], None) is None:
        raise Refusal(404, "Secret not found")
    return JSONResponse({"message": "Secret deleted"})


async def list_knowledge(box: Sandbox, organization: Organization, request: Request) -> Response:
    return JSONResponse(
        {"folders": organization.folders, "knowledge": list(organization.notes.values())}
    )


async def create_knowledge(box: Sandbox, organization: Organization, request: Request) -> Response:
    note_id = new_id("note")
    made = {"id": note_id, "created_at": stamp(box.clock.now()), "created_by": None}
    organization.notes[note_id] = made | await _note(request)
    return JSONResponse(organization.notes[note_id])


async def update_knowledge(box: Sandbox, organization: Organization, request: Request) -> Response:
    now = organization.notes.get(request.path_params["note_id"])
    if now is None:
        raise Refusal(404, "Note not found")
    now.update(await _note(request))
    return JSONResponse(now)


async def _note(request: Request) -> dict[str, Any]:
    """PUT replaces: an optional field that is not sent is reset."""
    return {"parent_folder_id": None, "macro": None, "pinned_repo": None} | await checked(
        request, "KnowledgeWrite"
    )


async def delete_knowledge(box: Sandbox, organization: Organization, request: Request) -> Response:
    if organization.notes.pop(request.path_params["note_id"], None) is None:
        raise Refusal(404, "Note not found")
    return Response(status_code=204)


async def list_playbooks(box: Sandbox, organization: Organization, request: Request) -> Response:
    return JSONResponse(list(organization.playbooks.values()))


async def create_playbook(box: Sandbox, organization: Organization, request: Request) -> Response:
    body = await checked(request, "PlaybookWrite")
    made = playbook(
        new_id("playbook"), body["title"], body["body"], body.get("macro"), stamp(box.clock.now())
    )
    organization.playbooks[made["playbook_id"]] = made
    return JSONResponse(made)


async def get_playbook(box: Sandbox, organization: Organization, request: Request) -> Response:
    return JSONResponse(_playbook(organization, request))


async def update_playbook(box: Sandbox, organization: Organization, request: Request) -> Response:
    now = _playbook(organization, request)
    now.update(
        {"macro": None}
        | await checked(request, "PlaybookWrite")
        | {"updated_at": stamp(box.clock.now())}
    )
    return JSONResponse({"status": "success"})


async def delete_playbook(box: Sandbox, organization: Organization, request: Request) -> Response:
    del organization.playbooks[_playbook(organization, request)["playbook_id"]]
    return JSONResponse({"status": "success"})


def _playbook(organization: Organization, request: Request) -> dict[str, Any]:
    found = organization.playbooks.get(request.path_params["playbook_id"])
    if found is None:
        raise Refusal(404, "Playbook not found")
    return found


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
