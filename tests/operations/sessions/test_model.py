"""The session model."""

from __future__ import annotations

import pytest

from tests.conftest import Connect
from tests.upstream import Upstream, answer


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
async def test_phase_follows_from_status_enum(
    connect: Connect, upstream: Upstream, status_enum: str | None, phase: str
) -> None:
    row = {
        "session_id": "devin-1",
        "status": "whatever",
        "status_enum": status_enum,
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "x",
    }
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": [row]}))
    upstream.fail("GET", "/v1/sessions/devin-1", answer(200, row))
    async with connect() as client:
        listed = (await client.ok("list_sessions"))["sessions"][0]
        got = await client.ok("get_session", session_id="devin-1")
    assert listed["phase"] == got["phase"] == phase
    assert listed.get("status_enum") == got.get("status_enum") == status_enum
