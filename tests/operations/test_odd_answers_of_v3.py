"""Any field of v3's answers may have any type: a tool answers with what is left, or says that the
answer could not be read. It never fails on its own side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Connect, ToolClient, text_of
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1's odd answers are in tests/api/test_decoding.py.")

ODD_VALUES: tuple[Any, ...] = (None, 5, -1e300, True, "x", "\ud800", [], [None], [5], {}, {"a": []})
SESSION_ID = "devin-" + "1" * 32
SESSION = {
    "session_id": "1" * 32,
    "url": "https://sandbox.invalid/sessions/1",
    "org_id": "org-sandbox",
    "status": "running",
    "status_detail": "waiting_for_user",
    "title": "T",
    "tags": ["t"],
    "created_at": 1,
    "updated_at": 2,
    "acus_consumed": 1.5,
    "pull_requests": [{"pr_url": "https://x.invalid/a/b/pull/1", "pr_state": "open"}],
    "structured_output": {"a": 1},
    "playbook_id": None,
    "is_archived": False,
}
MESSAGE = {"event_id": "e", "source": "devin", "message": "m", "created_at": 1}
NOTE = {
    "note_id": "note-1",
    "name": "N",
    "body": "b",
    "trigger": "t",
    "is_enabled": True,
    "folder_id": "f",
    "folder_path": "/F",
    "macro": None,
    "pinned_repo": "a/b",
    "created_at": 1,
}
PLAYBOOK = {
    "playbook_id": "playbook-1",
    "title": "P",
    "body": "b",
    "macro": "!p",
    "structured_output_schema": {"type": "object"},
    "updated_at": 1,
    "access_type": "org",
}
SECRET = {
    "secret_id": "secret-1",
    "secret_type": "totp",
    "key": "K",
    "note": "n",
    "created_at": 1,
}
PAGE: dict[str, Any] = {"items": [], "end_cursor": None, "has_next_page": False, "total": 0}
SELF = {
    "principal_type": "service_user",
    "service_user_name": "s",
    "org_id": "org-sandbox",
    "devin_sessions_org_id": None,
}
FOLDER = {"folder_id": "f", "name": "F", "path": "/F"}

FILE = {
    "attachment_id": "a",
    "name": "a.png",
    "url": "https://x.invalid/attachments/a/a.png",
    "source": "devin",
    "content_type": "image/png",
}
REPOSITORY = {
    "repo_path": "acme/shop-api",
    "repo_name": "shop-api",
    "repo_description": "d",
    "repo_language": "Python",
    "last_updated_at": 1,
}
ISSUE = {"id": "i", "label": "l", "issue": "t", "impact": "m"}
ACTION_ITEM = {"type": "t", "action_item": "a", "issue_id": "i"}
ANALYSIS = {
    "issues": [ISSUE],
    "action_items": [ACTION_ITEM],
    "timeline": [],
    "classification": {"category": "c", "confidence": 1.0},
    "note_usage": None,
    "suggested_prompt": {"original_prompt": "o", "suggested_prompt": "s", "feedback_items": []},
}
INSIGHTS = {
    "session_size": "m",
    "num_user_messages": 1,
    "num_devin_messages": 2,
    "analysis": ANALYSIS,
}
SCHEDULE = {
    "scheduled_session_id": "sched-1",
    "org_id": "org-sandbox",
    "name": "N",
    "prompt": "p",
    "agent": "devin",
    "enabled": True,
    "schedule_type": "recurring",
    "frequency": "0 9 * * 1",
    "scheduled_at": None,
    "playbook": {"playbook_id": "playbook-1", "title": "P"},
    "tags": ["t"],
    "notify_on": "failure",
    "target_devin_id": None,
    "last_executed_at": "2026-11-02T09:00:00+00:00",
    "last_error_at": "2026-11-02T09:00:00+00:00",
    "last_error_message": "e",
    "consecutive_failures": 2,
}
USED_DAY = {"date": 1_764_000_000, "acus": 1.5, "acus_by_product": {"devin": 1.5}}
USAGE = {"total_acus": 1.5, "consumption_by_date": [USED_DAY]}

MESSAGE_ARGUMENTS = {"session_id": SESSION_ID, "message": "m"}
CALLS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any], bool]] = {
    "session": ("get_session", SESSION, "get_session", {"session_id": SESSION_ID}, False),
    "sessions": ("list_sessions", SESSION, "list_sessions", {}, True),
    "messages": ("list_messages", MESSAGE, "get_session", {"session_id": SESSION_ID}, True),
    "notes": ("list_knowledge", NOTE, "list_knowledge", {"body": "full"}, True),
    "note": ("get_note", NOTE, "update_knowledge", {"note_id": "note-1", "name": "M"}, False),
    "playbooks": ("list_playbooks", PLAYBOOK, "list_playbooks", {"body": True}, True),
    "playbook": ("get_playbook", PLAYBOOK, "get_playbook", {"playbook_id": "playbook-1"}, False),
    "secrets": ("list_secrets", SECRET, "list_secrets", {}, True),
    "self": ("get_self", SELF, "list_secrets", {}, False),
    "created": ("create_session", SESSION, "create_session", {"prompt": "p"}, False),
    "files": ("list_session_files", FILE, "list_session_files", {"session_id": SESSION_ID}, True),
    "repositories": ("list_repositories", REPOSITORY, "list_repositories", {}, True),
    "insights": (
        "get_session_insights",
        INSIGHTS,
        "get_session_insights",
        {"session_id": SESSION_ID},
        False,
    ),
    **{
        part: (
            "get_session_insights",
            record,
            "get_session_insights",
            {"session_id": SESSION_ID},
            False,
        )
        for part, record in (("analysis", ANALYSIS), ("issue", ISSUE), ("action", ACTION_ITEM))
    },
    "used day": ("get_usage", USED_DAY, "get_usage", {}, False),
    "schedules": ("list_schedules", SCHEDULE, "list_schedules", {}, True),
    "schedule": (
        "update_schedule",
        SCHEDULE,
        "update_schedule",
        {"schedule_id": "sched-1", "enabled": False},
        False,
    ),
    "usage": ("get_usage", USAGE, "get_usage", {}, False),
    "sent": (
        "send_message",
        SESSION,
        "send_message",
        {"session_id": SESSION_ID, "message": "m"},
        False,
    ),
}
"""Case -> operation or lookup, its record, the tool and its arguments, and whether the record is a
row of a page."""

PARTS: dict[str, Callable[[Any], Any]] = {
    "analysis": lambda part: {**INSIGHTS, "analysis": part},
    "issue": lambda part: {**INSIGHTS, "analysis": {**ANALYSIS, "issues": [part]}},
    "action": lambda part: {**INSIGHTS, "analysis": {**ANALYSIS, "action_items": [part]}},
    "used day": lambda part: {**USAGE, "consumption_by_date": [part]},
}
"""Case -> the answer around its record."""


def odd_bodies(record: dict[str, Any], *, is_row: bool) -> Iterator[Any]:
    """Bodies in which one field has another type, or is missing."""

    def body(row: Any) -> Any:
        return {**PAGE, "items": [row]} if is_row else row

    for name in record:
        yield body({key: value for key, value in record.items() if key != name})
        for value in ODD_VALUES:
            yield body({**record, name: value})
    for value in ODD_VALUES:
        yield value
        yield body(value)
        if is_row:
            yield from ({**PAGE, "items": [record], name: value} for name in PAGE)


@pytest.mark.parametrize("case", CALLS)
async def test_no_type_of_a_field_makes_a_tool_fail(
    connect: Connect, upstream: Upstream, case: str
) -> None:
    operation_id, record, tool, arguments, is_row = CALLS[case]
    async with connect(cache_ttl=0, max_sessions=10_000, toolsets="all") as client:
        for part in odd_bodies(record, is_row=is_row):
            body = PARTS[case](part) if case in PARTS else part
            upstream.clear_faults()
            upstream.fail_operation(operation_id, answer(200, body))
            if case == "messages":
                upstream.fail_operation("get_session", answer(200, SESSION))
            await check(client, tool, arguments, body)


async def check(client: ToolClient, tool: str, arguments: dict[str, Any], body: Any) -> None:
    text = text_of(await client(tool, **arguments))
    assert "bug" not in text, (text, body)
