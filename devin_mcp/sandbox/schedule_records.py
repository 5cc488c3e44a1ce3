"""Records of schedules, in the form that v3 returns (v3.md §10)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

DEFAULTS: dict[str, Any] = {
    "agent": "devin",
    "schedule_type": "recurring",
    "frequency": None,
    "interval_count": 1,
    "scheduled_at": None,
    "playbook_id": None,
    "notify_on": "failure",
    "bypass_approval": False,
    "platform": None,
    "slack_channel_id": None,
    "slack_team_id": None,
    "tags": None,
    "target_devin_id": None,
    "enabled": True,
}


def new_schedule(
    schedule_id: str, fields: Mapping[str, Any], now: datetime, creator_id: str
) -> dict[str, Any]:
    """A schedule with these fields that has never run. Times are ISO text, unlike others of v3."""
    return {
        "scheduled_session_id": schedule_id,
        **DEFAULTS,
        "created_at": now.isoformat(),
        "updated_at": now.isoformat(),
        "created_by": creator_id,
        "last_edited_by": None,
        "last_executed_at": None,
        "last_error_at": None,
        "last_error_message": None,
        "consecutive_failures": 0,
        **{name: value for name, value in fields.items() if name != "create_as_user_id"},
    }
