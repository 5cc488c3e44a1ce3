"""What v3 says of a session, and what this server makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.operations.sessions.model import V3_PHASES, Session, SessionSummary

PHASES: list[tuple[str, str | None, str]] = [
    ("new", None, "starting"),
    ("claimed", None, "starting"),
    ("creating", None, "starting"),
    ("running", None, "working"),
    ("running", "working", "working"),
    ("running", "thinking_about_mars", "working"),
    ("resuming", None, "working"),
    ("hibernating_on_mars", None, "working"),
    ("running", "waiting_for_user", "waiting"),
    ("running", "waiting_for_approval", "waiting"),
    ("running", "finished", "done"),
    ("suspended", None, "sleeping"),
    ("suspended", "inactivity", "sleeping"),
    ("suspended", "user_request", "sleeping"),
    ("suspended", "full_moon", "sleeping"),
    ("suspended", "usage_limit_exceeded", "held"),
    ("suspended", "org_usage_limit_exceeded", "held"),
    ("suspended", "user_usage_limit_exceeded", "held"),
    ("suspended", "total_session_limit_exceeded", "held"),
    ("suspended", "out_of_credits", "held"),
    ("suspended", "out_of_quota", "held"),
    ("suspended", "no_quota_allocation", "held"),
    ("suspended", "payment_declined", "held"),
    ("suspended", "contract_expired", "held"),
    ("suspended", "error", "failed"),
    ("error", None, "failed"),
    ("error", "anything", "failed"),
    ("exit", None, "ended"),
    ("exit", "finished", "ended"),
]
"""status, status_detail, phase (v3.md §5.3)."""


def row(**fields: Any) -> dict[str, Any]:
    """A session as v3 returns it."""
    required = {"session_id": "0" * 32, "org_id": "org-1", "status": "running", "tags": []}
    return {**required, "status_detail": None, "pull_requests": [], **fields}


@pytest.mark.parametrize(("status", "detail", "phase"), PHASES)
def test_phase_follows_from_status_and_detail(status: str, detail: str | None, phase: str) -> None:
    session = SessionSummary.model_validate(row(status=status, status_detail=detail))
    assert session.phase == phase
    assert (session.status, session.reason, session.status_enum) == (status, detail, None)


def test_every_entry_of_the_phase_table_is_tested() -> None:
    tested = {f"{status}/{detail}" if detail else status for status, detail, _ in PHASES}
    assert set(V3_PHASES) <= tested


@pytest.mark.parametrize("value", [0, 0.0, None, "much", -1])
def test_acus_are_shown_only_above_zero(value: object) -> None:
    assert SessionSummary.model_validate(row(acus_consumed=value)).acus is None
    assert SessionSummary.model_validate(row()).acus is None
    assert SessionSummary.model_validate(row(acus_consumed=2.25)).acus == 2.25


def pull_requests(*values: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    """The pull requests of a session, as they are read."""
    raw = [{"pr_url": url, "pr_state": state} for url, state in values]
    session = SessionSummary.model_validate(row(pull_requests=raw))
    return [(item.url, item.state) for item in session.pull_requests or ()]


@pytest.mark.parametrize("part", ["pull", "merge_requests", "pull-requests"])
def test_pull_requests_of_one_repository_come_newest_first(part: str) -> None:
    base = f"https://git.example.com/acme/shop/{part}"
    values = [(f"{base}/9", "merged"), (f"{base}/10", "open"), (f"{base}/2", None)]
    assert pull_requests(*values) == [values[1], values[0], values[2]]


def test_pull_requests_of_several_repositories_keep_their_order() -> None:
    values = [
        ("https://github.com/acme/shop/pull/9", "merged"),
        ("https://github.com/acme/api/pull/10", "draft"),
    ]
    assert pull_requests(*values) == values


def test_session_without_pull_requests_has_none() -> None:
    assert SessionSummary.model_validate(row(pull_requests=None)).pull_requests is None
    assert SessionSummary.model_validate(row()).pull_requests is None


@pytest.mark.parametrize(
    ("fields", "can_be_ended", "accepts_messages"),
    [
        ({"status_detail": "working"}, True, True),
        ({"status_detail": "finished"}, True, True),
        ({"status": "suspended", "status_detail": "inactivity"}, True, True),
        ({"status": "suspended", "status_detail": "out_of_quota"}, True, False),
        ({"status": "error"}, True, True),
        ({"status": "exit"}, False, False),
        ({"is_archived": True}, True, False),
    ],
)
def test_what_can_be_done_with_a_session(
    fields: dict[str, Any], *, can_be_ended: bool, accepts_messages: bool
) -> None:
    session = Session.model_validate(row(**fields))
    assert session.can_be_ended is can_be_ended
    assert session.accepts_messages is accepts_messages


def test_bare_hex_id_gets_its_prefix() -> None:
    assert SessionSummary.model_validate(row()).session_id == "devin-" + "0" * 32
    for session_id in ("devin-" + "0" * 32, "devin-short", "0" * 31, "G" * 32):
        session = SessionSummary.model_validate(row(session_id=session_id))
        assert session.session_id == session_id


def test_unix_seconds_are_shown_as_utc() -> None:
    session = SessionSummary.model_validate(row(created_at=1_767_225_600, updated_at=None))
    assert (session.created_at, session.updated_at) == ("2026-01-01T00:00:00Z", None)
