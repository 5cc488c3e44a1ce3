"""Insights of v3: an analysis of a session, which is made on request (v3.md §5.7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.request import SandboxRequest
from devin_mcp.sandbox.scripts import SimulatedSession
from devin_mcp.sandbox.v3.page import page
from devin_mcp.sandbox.v3.sessions import session_of, session_row

ANALYSIS_SECONDS = 20
"""Time from the request to the analysis. The real time is not known."""


async def get_insights(request: SandboxRequest) -> Response:
    return JSONResponse(_row(request, session_of(request)))


async def generate_insights(request: SandboxRequest) -> Response:
    session, ready_at = session_of(request), request.organization.analyses
    status = "already_exists" if session.session_id in ready_at else "started"
    if status == "started":
        now = request.organization.clock.now()
        ready_at[session.session_id] = now + timedelta(seconds=ANALYSIS_SECONDS)
    return JSONResponse({"session_id": session.session_id, "status": status})


async def list_insights(request: SandboxRequest) -> Response:
    sessions = reversed(request.organization.sessions.values())
    return page(request, [_row(request, session) for session in sessions], "session_id")


def _row(request: SandboxRequest, session: SimulatedSession) -> dict[str, Any]:
    organization = request.organization
    ready_at = organization.analyses.get(session.session_id)
    is_ready = ready_at is not None and organization.clock.now() >= ready_at
    of_devin = [message["type"] == "devin_message" for message in session.readable()]
    row = session_row(session, organization)
    return row | {
        "acus_consumed": row["acus_consumed"] or 0.0,
        "num_user_messages": len(of_devin) - sum(of_devin),
        "num_devin_messages": sum(of_devin),
        "session_size": "s",
        "analysis": _analysis(session) if is_ready else None,
    }


def _analysis(session: SimulatedSession) -> dict[str, Any]:
    prompt = session.body["prompt"]
    return {
        "issues": [
            {
                "id": "issue-1",
                "label": "Missing acceptance criteria",
                "issue": "The prompt did not say whether the check should be strict.",
                "impact": "One question, and the wait for its answer.",
            }
        ],
        "action_items": [
            {
                "action_item": "Write a note: checks are strict unless the task says otherwise.",
                "type": "knowledge",
                "issue_id": "issue-1",
            }
        ],
        "timeline": [],
        "classification": {
            "category": "feature",
            "confidence": 0.9,
            "programming_languages": ["Python"],
            "tools_and_frameworks": ["FastAPI"],
        },
        "note_usage": {"good_usages": [], "bad_usages": []},
        "suggested_prompt": {
            "original_prompt": prompt,
            "suggested_prompt": f"{prompt}\n\nThe check is strict: it raises an error.",
            "feedback_items": [],
        },
    }
