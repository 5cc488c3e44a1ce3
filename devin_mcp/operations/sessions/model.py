"""The Session model: Devin's own words, and the phase derived from them."""

from __future__ import annotations

import json
import re
from functools import cached_property
from hashlib import sha256
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from devin_mcp.api.models import MAX_SHORT_CHARS, AnyObject, ApiModel, ListOrNull, ShortText, Time
from devin_mcp.operations.capabilities import V1, V3, ChoicesRequire, Requires
from devin_mcp.operations.parameters import prefixed_id
from devin_mcp.operations.sessions.conversation import Message

Phase = Literal["starting", "working", "waiting", "done", "sleeping", "held", "failed", "ended"]
V3_PHASE_NAMES = ChoicesRequire(V3, ("held", "failed"))
"""Marks a parameter or field with phases: v1 does not tell these from others."""

WORKING_PHASES: frozenset[Phase] = frozenset({"starting", "working"})

PhaseText = Annotated[Phase, WithJsonSchema({"type": "string"})]
"""A phase in a result. Its values are published once: each copy costs tokens in every conversation.
"""

V1_PHASES: dict[str, Phase] = {
    "blocked": "waiting",  # Devin asked or delivered; a good task usually ends so (v1.md §3.4)
    "finished": "done",
    "suspend_requested": "sleeping",
    "suspend_requested_frontend": "sleeping",
    "suspended": "sleeping",
    "expired": "ended",
    "stopped": "ended",
}
"""v1 `status_enum` -> phase. null is `starting`; all other values are `working`: working, running,
claimed, resumed, resume_requested, and what Devin adds one day."""

V3_PHASES: dict[str, Phase] = {
    "new": "starting",
    "claimed": "starting",
    "creating": "starting",
    "running/waiting_for_user": "waiting",  # Devin asked or delivered (v3-additions.md §5.3)
    "running/waiting_for_approval": "waiting",
    "running/finished": "done",
    "suspended": "sleeping",  # a message wakes it (v3.md §5.3)
    "suspended/usage_limit_exceeded": "held",
    "suspended/org_usage_limit_exceeded": "held",
    "suspended/user_usage_limit_exceeded": "held",
    "suspended/total_session_limit_exceeded": "held",
    "suspended/out_of_credits": "held",
    "suspended/out_of_quota": "held",
    "suspended/no_quota_allocation": "held",
    "suspended/payment_declined": "held",
    "suspended/contract_expired": "held",
    "suspended/error": "failed",
    "error": "failed",
    "exit": "ended",
}
"""v3 `status`, or `status/status_detail` where the detail decides -> phase. All other values are
`working`: running, resuming, and what Devin adds one day."""

_PULL_REQUEST = re.compile(r"(.*?)/(?:pull|pulls|merge_requests|pull-requests)/(\d{1,9})\b")


class PullRequest(ApiModel):
    url: str
    state: str | None = None


class SessionSummary(ApiModel):
    """A session in a list."""

    session_id: Annotated[str, BeforeValidator(prefixed_id)]
    phase: Annotated[
        Phase,
        Field(description="waiting = Devin's turn ended: it asked or delivered"),
        V3_PHASE_NAMES,
    ]
    reason: Annotated[str | None, Requires(V3)] = Field(None, description="Devin's status_detail")
    title: ShortText | None = None
    url: ShortText | None = None
    pull_requests: list[PullRequest] | None = Field(None, description="Newest first")
    status: str | None = None
    status_enum: Annotated[str | None, Requires(V1)] = None
    acus: Annotated[float | None, Requires(V3)] = Field(
        None, description="Devin's own count of ACUs"
    )
    archived: Annotated[bool | None, Requires(V3)] = None
    tags: ListOrNull[str] = []
    playbook_id: str | None = None
    requesting_user_email: Annotated[str | None, Requires(V1)] = None
    created_at: Time | None = None
    updated_at: Time | None = None

    @model_validator(mode="before")
    @classmethod
    def _normalize(cls, value: object) -> object:
        """Derive the phase and what this model calls otherwise than Devin."""
        if not isinstance(value, dict):
            return value
        session = {**value, "pull_requests": _pull_requests(value)}
        if not _can_be_read(session.get("tags", ()), is_of_v3=_is_of_v3(value)):
            del session["tags"]
        output = session.get("structured_output")
        if output is not None and not isinstance(output, dict):
            session["structured_output"] = {"value": output}
        return session | (_v3_fields(value) if _is_of_v3(value) else _v1_fields(value))


def _can_be_read(tags: object, *, is_of_v3: bool) -> bool:
    """What cannot be read is never written back. v3 always has a list (v3.md §5.2)."""
    if not isinstance(tags, list):
        return not (tags is None and is_of_v3)
    return all(len(tag) <= MAX_SHORT_CHARS for tag in tags if isinstance(tag, str))


def phase_of(session: dict[str, Any]) -> Phase:
    """The phase of a session as Devin returns it."""
    fields = _v3_fields(session) if _is_of_v3(session) else _v1_fields(session)
    phase: Phase = fields["phase"]
    return phase


def _is_of_v3(session: dict[str, Any]) -> bool:
    """v1 has no organization in a session, v3 always (v3.md §5.2)."""
    return "org_id" in session or "status_detail" in session


def _v1_fields(session: dict[str, Any]) -> dict[str, Any]:
    status = session.get("status_enum")
    if status is not None and not isinstance(status, str):
        status = "unknown"
    phase = "starting" if status is None else V1_PHASES.get(status.lower(), "working")
    return {"status_enum": status, "phase": phase} | dict.fromkeys(("reason", "acus", "archived"))


def _v3_fields(session: dict[str, Any]) -> dict[str, Any]:
    status, detail = str(session.get("status")).lower(), session.get("status_detail")
    phase = V3_PHASES.get(f"{status}/{detail}", V3_PHASES.get(status, "working"))
    acus = session.get("acus_consumed")
    has_count = isinstance(acus, int | float) and isfinite(acus) and acus > 0
    return {
        "status_enum": None,
        "phase": phase,
        "reason": detail if isinstance(detail, str) else None,
        "acus": acus if has_count else None,
        "archived": True if session.get("is_archived") is True else None,
    }


def _pull_requests(session: dict[str, Any]) -> list[dict[str, Any]] | None:
    """v1 has one `pull_request`, v3 a list of `{pr_url, pr_state}` (migration.md §5)."""
    values = session.get("pull_requests", [session.get("pull_request")])
    if not isinstance(values, list):
        return None
    pull_requests = []
    for value in values:
        if not isinstance(value, dict):
            continue
        url = value.get("pr_url", value.get("url"))
        state = value.get("pr_state", value.get("state"))
        if isinstance(url, str) and len(url) <= MAX_SHORT_CHARS:
            pull_requests.append({"url": url, "state": state if isinstance(state, str) else None})
    return _newest_first(pull_requests) or None


def _newest_first(pull_requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorted by number if all belong to one repository. Devin's own order is not documented."""
    matches = [_PULL_REQUEST.match(pull_request["url"]) for pull_request in pull_requests]
    repositories = {match and match[1] for match in matches}
    if len(repositories) != 1 or None in repositories:
        return pull_requests
    numbers = [int(match[2]) for match in matches if match]
    order = sorted(range(len(numbers)), key=lambda index: -numbers[index])
    return [pull_requests[index] for index in order]


class Session(SessionSummary):
    """A session with its conversation."""

    snapshot_id: Annotated[str | None, Requires(V1)] = None
    structured_output: AnyObject | None = None
    messages: ListOrNull[Message] = []

    @cached_property
    def output_hash(self) -> bytes:
        """SHA-256 of the structured output; empty without one."""
        output = self.structured_output
        if output is None:
            return b""
        return sha256(json.dumps(output, sort_keys=True).encode()).digest()

    @property
    def is_working(self) -> bool:
        return self.phase in WORKING_PHASES

    @property
    def can_be_ended(self) -> bool:
        """False once it has ended by itself or was terminated. On v1 (which alone has status_enum)
        a finished session is over; on v3 it is alive (v3.md §5.3).
        """
        return self.phase != "ended" and (self.phase != "done" or self.status_enum is None)

    @property
    def accepts_messages(self) -> bool:
        """An archived session is read-only; one on hold waits for a person (v3.md §5.3, §5.6)."""
        return self.can_be_ended and self.phase != "held" and not self.archived
