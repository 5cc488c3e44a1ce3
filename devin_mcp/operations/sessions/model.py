"""The Session model: Devin's own words, and the phase derived from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from devin_mcp.api.models import ApiModel, Time
from devin_mcp.operations.sessions.conversation import Message

Phase = Literal["starting", "working", "waiting", "done", "sleeping", "ended"]

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


class PullRequest(ApiModel):
    url: str
    state: str | None = None


class SessionSummary(ApiModel):
    """A session in a list."""

    session_id: str
    phase: Phase = Field(description="waiting = Devin's turn ended: it asked or delivered")
    title: str | None = None
    url: str | None = None
    pull_requests: list[PullRequest] | None = None
    status: str | None = None
    status_enum: str | None = None
    tags: list[str] = []
    playbook_id: str | None = None
    requesting_user_email: str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None

    @model_validator(mode="before")
    @classmethod
    def _normalize(cls, value: object) -> object:
        """Derive the phase and accept what v1 sends in place of lists, objects and texts."""
        if not isinstance(value, dict):
            return value
        status = value.get("status_enum")
        if status is not None and not isinstance(status, str):
            status = "unknown"
        phase = "starting" if status is None else V1_PHASES.get(status.lower(), "working")
        session = {
            **value,
            "phase": phase,
            "status_enum": status,
            "pull_requests": _pull_requests(value),
        }
        for name in ("tags", "messages"):
            if session.get(name, ()) is None:
                session[name] = []
        output = session.get("structured_output")
        if output is not None and not isinstance(output, dict):
            session["structured_output"] = {"value": output}
        return session


def _pull_requests(session: dict[str, Any]) -> list[dict[str, Any]] | None:
    """v1 has one `pull_request`, the Organization API a list (migration.md)."""
    values = session.get("pull_requests", [session.get("pull_request")])
    if not isinstance(values, list):
        return None
    pull_requests = []
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("url"), str):
            state = value.get("state")
            pull_requests.append(
                {"url": value["url"], "state": state if isinstance(state, str) else None}
            )
    return pull_requests or None


class Session(SessionSummary):
    """A session with its conversation, as GET returns it."""

    snapshot_id: str | None = None
    structured_output: dict[str, Any] | None = None
    messages: list[Message] = []

    @property
    def is_working(self) -> bool:
        return self.phase in WORKING_PHASES

    @property
    def can_be_ended(self) -> bool:
        """False once it has ended by itself or was terminated."""
        return self.phase not in {"done", "ended"}

    @property
    def accepts_messages(self) -> bool:
        return self.phase not in {"done", "ended"}
