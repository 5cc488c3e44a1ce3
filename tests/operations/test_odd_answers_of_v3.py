"""Any field of v3's answers may have any type: a tool answers with what is left, or says that the
answer could not be read. It never fails on its own side.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    async with connect(cache_ttl=0, max_sessions=10_000) as client:
        for body in odd_bodies(record, is_row=is_row):
            upstream.clear_faults()
            upstream.fail_operation(operation_id, answer(200, body))
            if case == "messages":
                upstream.fail_operation("get_session", answer(200, SESSION))
            await check(client, tool, arguments, body)


async def check(client: ToolClient, tool: str, arguments: dict[str, Any], body: Any) -> None:
    text = text_of(await client(tool, **arguments))
    assert "bug" not in text, (text, body)
