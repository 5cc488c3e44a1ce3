"""What the simulated API takes: documented fields only, refused the way FastAPI refuses (422 with a list)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

_TEXT, _FLAG, _TEXTS, _COUNT, _OBJECTS, _OBJECT = str, bool, list, int, list, dict

SHAPES: dict[str, dict[str, tuple[type, bool]]] = {
    "CreateSessionRequest": {
        "prompt": (_TEXT, True),
        "title": (_TEXT, False),
        "tags": (_TEXTS, False),
        "playbook_id": (_TEXT, False),
        "knowledge_ids": (_TEXTS, False),
        "secret_ids": (_TEXTS, False),
        "session_secrets": (_OBJECTS, False),
        "snapshot_id": (_TEXT, False),
        "max_acu_limit": (_COUNT, False),
        "idempotent": (_FLAG, False),
        "unlisted": (_FLAG, False),
        "structured_output_schema": (_OBJECT, False),
    },
    "SendMessageRequest": {"message": (_TEXT, True)},
    "UpdateTagsRequest": {"tags": (_TEXTS, True)},
    "CreateSecretRequest": {
        "type": (_TEXT, True),
        "key": (_TEXT, True),
        "value": (_TEXT, True),
        "sensitive": (_FLAG, True),
        "note": (_TEXT, True),
    },
    "KnowledgeWrite": {
        "name": (_TEXT, True),
        "body": (_TEXT, True),
        "trigger_description": (_TEXT, True),
        "parent_folder_id": (_TEXT, False),
        "macro": (_TEXT, False),
        "pinned_repo": (_TEXT, False),
    },
    "PlaybookWrite": {"title": (_TEXT, True), "body": (_TEXT, True), "macro": (_TEXT, False)},
}
"""Field -> type and whether it is required; the names are those of v1.openapi.yaml, which a test compares."""


class BadBody(Exception):
    def __init__(self, field: str, message: str, place: str = "body") -> None:
        super().__init__(message)
        self.detail = [{"loc": [place, field], "msg": message, "type": "value_error"}]


async def checked(request: Request, shape: str) -> dict[str, Any]:
    """The body, if it is what `shape` says. Unknown fields are refused, unlike upstream, so that we hear of ours."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise BadBody("", "JSON decode error") from None
    if not isinstance(body, dict):
        raise BadBody("", "Input should be a valid dictionary")
    fields = SHAPES[shape]
    for name in body:
        if name not in fields:
            raise BadBody(name, "Extra inputs are not permitted")
    for name, (kind, required) in fields.items():
        value = body.get(name)
        if value is None and required:
            raise BadBody(name, "Field required")
        if value is not None and not isinstance(value, kind):
            raise BadBody(name, f"Input should be a valid {kind.__name__}")
        if value == "" and name in {"prompt", "message", "title"} and required:
            raise BadBody(name, "String should have at least 1 character")
    if len(body.get("tags") or []) > 50:
        raise BadBody("tags", "List should have at most 50 items")
    for name in ("prompt", "message"):
        if len(body.get(name) or "") > 30_000:
            raise BadBody(name, "String should have at most 30000 characters")
    return body


def whole_number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    """A number of the query, refused as FastAPI refuses."""
    text = query.get(name, str(otherwise))
    if not text.isascii() or not text.isdigit():
        raise BadBody(name, "Input should be a valid integer", place="query")
    return int(text)
