"""Schedules of v3 (v3.md §10, v3-additions.md §10). Nothing runs in the background: what is due
starts when somebody looks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError
from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.organization import Organization, new_id
from devin_mcp.sandbox.request import ApiError, SandboxRequest
from devin_mcp.sandbox.request_bodies import InvalidRequest, read_integer
from devin_mcp.sandbox.schedule_records import new_schedule
from devin_mcp.sandbox.v3.bodies import read_body

PLACE = frozenset({"limit", "offset"})
MAX_LIMIT = 200
CANNOT_BE_NULL = frozenset({"name", "prompt", "agent", "schedule_type", "notify_on", "enabled"})


async def list_schedules(request: SandboxRequest) -> Response:
    """The one list of v3 with offsets. Its envelope is that of the others."""
    query = request.http.query_params
    limit, offset = read_integer(query, "limit", MAX_LIMIT), read_integer(query, "offset", 0)
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest("limit", f"Input should be 1..{MAX_LIMIT}", location="query")
    run_due_schedules(request.organization)
    rows = list(request.organization.schedules.values())
    return JSONResponse(
        {
            "items": [_row(request, record) for record in rows[offset : offset + limit]],
            "end_cursor": None,
            "has_next_page": offset + limit < len(rows),
            "total": len(rows),
        }
    )


async def create_schedule(request: SandboxRequest) -> Response:
    body = await read_body(request.http, "ScheduleCreateRequest")
    organization = request.organization
    given = {name: value for name, value in body.items() if value is not None}
    now = organization.clock.now()
    record = new_schedule(new_id("sched"), given, now, request.creator_id)
    _check(record, body, now)
    organization.schedules[record["scheduled_session_id"]] = record
    return JSONResponse(_row(request, record))


async def get_schedule(request: SandboxRequest) -> Response:
    run_due_schedules(request.organization)
    return JSONResponse(_row(request, _schedule(request)))


async def update_schedule(request: SandboxRequest) -> Response:
    """What is left out stays; null clears."""
    record = _schedule(request)
    body = await read_body(request.http, "ScheduleUpdateRequest")
    for name in CANNOT_BE_NULL & set(body):
        if body[name] is None:
            raise InvalidRequest(name, "Input should not be null")
    now = request.organization.clock.now()
    body.pop("run_as_user_id", None)
    changed = record | body
    _check(changed, body, now)
    record |= body | {"updated_at": now.isoformat(), "last_edited_by": request.creator_id}
    return JSONResponse(_row(request, record))


async def delete_schedule(request: SandboxRequest) -> Response:
    record = _schedule(request)
    del request.organization.schedules[record["scheduled_session_id"]]
    return JSONResponse(_row(request, record))


def run_due_schedules(organization: Organization) -> None:
    """Start a session for each schedule that was due since it ran last, however often it was."""
    now = organization.clock.now()
    for record in organization.schedules.values():
        due_at = _next_run(record)
        if not record["enabled"] or due_at is None or due_at > now:
            continue
        record["last_executed_at"] = now.isoformat()
        target = organization.sessions.get(record["target_devin_id"] or "")
        if target is not None:
            target.receive_message(record["prompt"])
        else:
            body = {name: record[name] for name in ("prompt", "playbook_id", "tags")}
            organization.start_session(body, record["created_by"], origin="automation")
        if record["schedule_type"] == "one_time":
            record["enabled"] = False


def _next_run(record: dict[str, Any]) -> datetime | None:
    if record["schedule_type"] == "one_time":
        return _time(record["scheduled_at"])
    last = _time(record["last_executed_at"] or record["updated_at"])
    return next(CronSim(record["frequency"], last), None)


def _check(record: dict[str, Any], body: dict[str, Any], now: datetime) -> None:
    """Whether the fields fit together. Raises InvalidRequest. `body` is what was sent."""
    if record["schedule_type"] == "recurring":
        if not record["frequency"]:
            raise InvalidRequest("frequency", "recurring schedules need a frequency")
        try:
            CronSim(record["frequency"], now)
        except CronSimError:
            raise InvalidRequest("frequency", "Invalid cron expression") from None
        if record["target_devin_id"]:
            raise InvalidRequest("target_devin_id", "only one_time schedules have a target")
        return
    if body.get("frequency"):
        raise InvalidRequest("frequency", "one_time schedules have no frequency")
    if not record["scheduled_at"]:
        raise InvalidRequest("scheduled_at", "one_time schedules need scheduled_at")
    if body.get("scheduled_at") and _time(record["scheduled_at"]) <= now:
        raise InvalidRequest("scheduled_at", "scheduled_at must be in the future")


def _schedule(request: SandboxRequest) -> dict[str, Any]:
    record = request.organization.schedules.get(request.http.path_params["schedule_id"])
    if record is None:
        raise ApiError(404, "Schedule not found")
    return record


def _row(request: SandboxRequest, record: dict[str, Any]) -> dict[str, Any]:
    organization = request.organization
    playbook = organization.playbooks.get(record["playbook_id"] or "")
    named = playbook and {"playbook_id": playbook["playbook_id"], "title": playbook["title"]}
    others = {name: value for name, value in record.items() if name != "playbook_id"}
    return {**others, "org_id": organization.org_id, "playbook": named or None}


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("scheduled_at", "Input should be a valid datetime") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
