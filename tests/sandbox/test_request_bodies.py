"""Request bodies: anything but the documented fields is a 422 in the form of FastAPI."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.sandbox import Sandbox
from tests.sandbox.conftest import client_for


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "p", "repo_url": "x"},
        {},
        {"prompt": ""},
        {"prompt": 5},
        [],
        {"prompt": "p", "tags": ["x"] * 51},
        {"prompt": "x" * 30_001},
    ],
    ids=["unknown", "missing", "empty", "number", "array", "51-tags", "too-long"],
)
async def test_body_that_is_not_documented_is_a_422(sandbox: Sandbox, body: Any) -> None:
    async with client_for(sandbox) as client:
        response = await client.post("/v1/sessions", json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"
    assert sandbox.organization("apk_one").sessions == {}


async def test_body_that_cannot_be_parsed_is_a_422(sandbox: Sandbox) -> None:
    async with client_for(sandbox) as client:
        assert (await client.post("/v1/sessions", content=b"{")).status_code == 422
        upload = await client.post("/v1/attachments", files={"wrong": b"x"})
        assert upload.status_code == 422
