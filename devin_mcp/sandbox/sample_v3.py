"""Sample data that only v3 has: repositories and schedules of the same company."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from devin_mcp.sandbox.schedule_records import new_schedule
from devin_mcp.sandbox.scripts import USER_ID

REPOSITORIES = (
    ("acme/shop-api", "Python", "The shop's HTTP API"),
    ("acme/shop-web", "TypeScript", "The shop as customers see it"),
    ("acme/infrastructure", "HCL", "Clusters, databases, alerts"),
    ("acme/design-system", "TypeScript", None),
)
"""Path, language, description."""

SCHEDULES = (
    (
        "Weekly dependency upgrade",
        "Upgrade one outdated dependency of acme/shop-api, as the playbook says.",
        "0 6 * * 1",
        "playbook-0002",
        True,
    ),
    (
        "Nightly flaky test hunt",
        "Run the tests of acme/shop-web ten times. Report what does not always pass.",
        "30 2 * * 1-5",
        None,
        False,
    ),
)
"""Name, prompt, cron expression, playbook, whether it is on."""


def sample_repositories(updated_at: datetime) -> list[dict[str, Any]]:
    """Repositories as the API returns them."""
    return [
        {
            "repo_path": path,
            "repo_name": path.rpartition("/")[2],
            "repo_description": description,
            "repo_language": language,
            "git_connection_host": "github.com",
            "last_updated_at": int(updated_at.timestamp()),
        }
        for path, language, description in REPOSITORIES
    ]


def sample_schedules(created_at: datetime) -> dict[str, dict[str, Any]]:
    """Schedules by their id."""
    schedules = {}
    for number, (name, prompt, frequency, playbook_id, is_on) in enumerate(SCHEDULES, 1):
        fields = {
            "name": name,
            "prompt": prompt,
            "frequency": frequency,
            "playbook_id": playbook_id,
            "enabled": is_on,
        }
        schedule_id = f"sched-{number:04d}"
        schedules[schedule_id] = new_schedule(schedule_id, fields, created_at, USER_ID)
    return schedules
