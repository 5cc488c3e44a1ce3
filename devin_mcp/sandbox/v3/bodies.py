"""Validates request bodies of v3. Unknown fields are a 422, which the real API does not answer
(v3-additions.md §5.1): a test shall notice fields of ours that do not exist.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request

from devin_mcp.sandbox.request_bodies import InvalidRequest, Shape, check_fields, read_object

MAX_URL_CHARS = 2083

_SCHEDULE: Shape = {
    "name": (str, False),
    "prompt": (str, False),
    "agent": (str, False),
    "schedule_type": (str, False),
    "frequency": (str, False),
    "interval_count": (int, False),
    "scheduled_at": (str, False),
    "playbook_id": (str, False),
    "notify_on": (str, False),
    "bypass_approval": (bool, False),
    "platform": (str, False),
    "slack_channel_id": (str, False),
    "slack_team_id": (str, False),
    "tags": (list, False),
    "target_devin_id": (str, False),
}
"""What both bodies of a schedule have."""

SHAPES: dict[str, Shape] = {
    "SessionCreateRequest": {
        "prompt": (str, True),
        "title": (str, False),
        "tags": (list, False),
        "repos": (list, False),
        "playbook_id": (str, False),
        "child_playbook_id": (str, False),
        "knowledge_ids": (list, False),
        "secret_ids": (list, False),
        "session_secrets": (list, False),
        "session_links": (list, False),
        "attachment_urls": (list, False),
        "max_acu_limit": (int, False),
        "devin_mode": (str, False),
        "platform": (str, False),
        "resumable": (bool, False),
        "bypass_approval": (bool, False),
        "create_as_user_id": (str, False),
        "structured_output_schema": (dict, False),
        "structured_output_required": (bool, False),
    },
    "SessionMessageCreateRequest": {
        "message": (str, True),
        "attachment_urls": (list, False),
        "message_as_user_id": (str, False),
    },
    "SessionTagsUpdateRequest": {"tags": (list, True)},
    "KnowledgeNoteWrite": {
        "name": (str, True),
        "body": (str, True),
        "trigger": (str, True),
        "folder_id": (str, False),
        "is_enabled": (bool, False),
        "pinned_repo": (str, False),
    },
    "PlaybookWrite": {
        "title": (str, True),
        "body": (str, True),
        "macro": (str, False),
        "structured_output_schema": (dict, False),
    },
    "ScheduleCreateRequest": {
        **_SCHEDULE,
        "name": (str, True),
        "prompt": (str, True),
        "create_as_user_id": (str, False),
    },
    "ScheduleUpdateRequest": {
        **_SCHEDULE,
        "enabled": (bool, False),
        "run_as_user_id": (str, False),
    },
    "SecretCreateRequest": {
        "type": (str, True),
        "key": (str, True),
        "value": (str, True),
        "is_sensitive": (bool, False),
        "note": (str, False),
    },
}
"""Schema of v3.openapi.yaml -> its fields. A test compares both."""

CHOICES = {
    "devin_mode": ("normal", "fast", "lite", "ultra", "fusion"),
    "type": ("cookie", "key-value", "totp"),
    "agent": ("devin", "data_analyst"),
    "schedule_type": ("recurring", "one_time"),
    "notify_on": ("always", "failure", "never"),
}
MACRO = re.compile(r"![A-Za-z0-9_-]+")


async def read_body(request: Request, shape: str) -> dict[str, Any]:
    """The known fields of the body, validated against SHAPES[shape]. Raises InvalidRequest."""
    fields = SHAPES[shape]
    body = await read_object(request)
    for name in body:
        if name not in fields:
            raise InvalidRequest(name, "Extra inputs are not permitted")
    check_fields(body, fields)
    for name, (kind, _) in fields.items():
        if kind is list and name != "session_secrets":
            for text in body.get(name) or []:
                if not isinstance(text, str):
                    raise InvalidRequest(name, "Input should be a valid string")
    for name, choices in CHOICES.items():
        if body.get(name) is not None and body[name] not in choices:
            raise InvalidRequest(name, f"Input should be one of {', '.join(choices)}")
    if body.get("macro") is not None and not MACRO.fullmatch(body["macro"]):
        raise InvalidRequest("macro", f"String should match pattern '{MACRO.pattern}'")
    for url in body.get("attachment_urls") or []:
        if not 1 <= len(url) <= MAX_URL_CHARS:
            raise InvalidRequest(
                "attachment_urls", f"URL should have 1..{MAX_URL_CHARS} characters"
            )
    return body
