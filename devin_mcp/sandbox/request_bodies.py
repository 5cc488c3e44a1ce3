"""Validates request bodies of the simulated API; errors have the form of FastAPI's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

MAX_TAGS = 50
MAX_TEXT_CHARS = 30_000

SHAPES: dict[str, dict[str, tuple[type, bool]]] = {
    "CreateSessionRequest": {
        "prompt": (str, True),
        "title": (str, False),
        "tags": (list, False),
        "playbook_id": (str, False),
        "knowledge_ids": (list, False),
        "secret_ids": (list, False),
        "session_secrets": (list, False),
        "snapshot_id": (str, False),
        "max_acu_limit": (int, False),
        "idempotent": (bool, False),
        "unlisted": (bool, False),
        "structured_output_schema": (dict, False),
    },
    "SendMessageRequest": {"message": (str, True)},
    "UpdateTagsRequest": {"tags": (list, True)},
    "CreateSecretRequest": {
        "type": (str, True),
        "key": (str, True),
        "value": (str, True),
        "sensitive": (bool, True),
        "note": (str, True),
    },
    "KnowledgeWrite": {
        "name": (str, True),
        "body": (str, True),
        "trigger_description": (str, True),
        "parent_folder_id": (str, False),
        "macro": (str, False),
        "pinned_repo": (str, False),
    },
    "PlaybookWrite": {"title": (str, True), "body": (str, True), "macro": (str, False)},
}
"""Body -> field -> type and whether it is required. A test compares the names with v1.openapi.yaml.
"""


class InvalidRequest(Exception):
    """A request that is answered with 422. `detail` lists the errors in FastAPI's format."""

    def __init__(self, field: str, message: str, location: str = "body") -> None:
        super().__init__(message)
        self.detail = [{"loc": [location, field], "msg": message, "type": "value_error"}]


Shape = Mapping[str, tuple[type, bool]]
"""Field -> type and whether it is required."""


async def read_body(request: Request, shape: str) -> dict[str, Any]:
    """The body of v1, validated against SHAPES[shape]. Raises InvalidRequest.

    Unknown fields are refused, which the real API does not do: a test shall notice fields of ours
    that do not exist.
    """
    body = await read_object(request)
    for name in body:
        if name not in SHAPES[shape]:
            raise InvalidRequest(name, "Extra inputs are not permitted")
    check_fields(body, SHAPES[shape])
    return body


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object of the body. Raises InvalidRequest."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise InvalidRequest("", "JSON decode error") from None
    if not isinstance(body, dict):
        raise InvalidRequest("", "Input should be a valid dictionary")
    return body


def check_fields(body: Mapping[str, Any], fields: Shape) -> None:
    """Check the types of the fields and the limits of texts and tags. Raises InvalidRequest."""
    for name, (kind, is_required) in fields.items():
        value = body.get(name)
        if value is None and is_required:
            raise InvalidRequest(name, "Field required")
        if value is not None and not isinstance(value, kind):
            raise InvalidRequest(name, f"Input should be a valid {kind.__name__}")
        if value == "" and name in {"prompt", "message", "title"} and is_required:
            raise InvalidRequest(name, "String should have at least 1 character")
    if len(body.get("tags") or []) > MAX_TAGS:
        raise InvalidRequest("tags", f"List should have at most {MAX_TAGS} items")
    for name in ("prompt", "message"):
        if len(body.get(name) or "") > MAX_TEXT_CHARS:
            raise InvalidRequest(name, f"String should have at most {MAX_TEXT_CHARS} characters")


def read_integer(query: Mapping[str, str], name: str, default: int) -> int:
    """A non-negative integer of the query string. Raises InvalidRequest."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise InvalidRequest(name, "Input should be a valid integer", location="query")
    return int(text)
