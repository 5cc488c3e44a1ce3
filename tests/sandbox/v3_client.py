"""The contract of v3, and a client for one organization of the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import jsonschema
import yaml

from devin_mcp.sandbox import Sandbox
from tests.conventions import test_schemas
from tests.sandbox.conftest import client_for

CONTRACT = yaml.safe_load((Path(test_schemas.__file__).parent / "v3.openapi.yaml").read_text())
ORGANIZATION = "/v3/organizations/org-sandbox"
SESSIONS = f"{ORGANIZATION}/sessions"
NOTES = f"{ORGANIZATION}/knowledge/notes"
PLAYBOOKS = f"{ORGANIZATION}/playbooks"
SECRETS = f"{ORGANIZATION}/secrets"


def v3_client(sandbox: Sandbox, key: str = "cog_sandbox") -> httpx.AsyncClient:
    return client_for(sandbox, key)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, with the components that its references name."""
    return schema | {"components": CONTRACT["components"]}


def validate(value: Any, schema: dict[str, Any]) -> None:
    jsonschema.validate(value, resolved(schema))


async def start(client: httpx.AsyncClient, prompt: str, **fields: Any) -> str:
    """Start a session and return the path of its resource."""
    response = await client.post(SESSIONS, json={"prompt": prompt, **fields})
    assert response.status_code == 200, response.text
    return f"{SESSIONS}/devin-{response.json()['session_id']}"


async def read(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    response = await client.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()
