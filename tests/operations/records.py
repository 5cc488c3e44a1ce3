"""Notes and secrets as the simulated organization stores them; it shows them on both APIs."""

from __future__ import annotations

from typing import Any

CREATED_AT = "2026-01-01T00:00:00.000000Z"


def note(note_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": note_id,
        "name": f"Note {note_id}",
        "body": "text",
        "trigger_description": "t",
        "parent_folder_id": None,
        "pinned_repo": None,
        "macro": None,
        "created_at": CREATED_AT,
        "created_by": None,
    } | fields


def by_id(*records: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The records of `organization.notes` or `organization.secrets`."""
    return {record["id"]: record for record in records}


def folder(folder_id: str, name: str) -> dict[str, Any]:
    return {"id": folder_id, "name": name, "description": "", "created_at": CREATED_AT}


def secret(secret_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": secret_id, "type": "totp", "key": "K", "created_at": CREATED_AT} | fields
