"""The session model."""

from __future__ import annotations

import pytest

from devin_mcp.operations.sessions.model import Session


@pytest.mark.parametrize(
    ("status_enum", "phase"),
    [
        (None, "starting"),
        ("working", "working"),
        ("running", "working"),
        ("RUNNING", "working"),
        ("claimed", "working"),
        ("resumed", "working"),
        ("resume_requested", "working"),
        ("resume_requested_frontend", "working"),
        ("blocked", "waiting"),
        ("finished", "done"),
        ("suspend_requested", "sleeping"),
        ("suspend_requested_frontend", "sleeping"),
        ("suspended", "sleeping"),
        ("expired", "ended"),
        ("stopped", "ended"),
        ("hibernating_on_mars", "working"),
    ],
)
def test_phase_follows_from_status_enum_alone(status_enum: str | None, phase: str) -> None:
    row = {"session_id": "devin-1", "status": "whatever", "status_enum": status_enum}
    session = Session.model_validate(row)
    assert session.phase == phase
    assert session.status_enum == status_enum
