"""A sandbox and HTTP clients with keys of their own."""

from __future__ import annotations

import httpx
import pytest

from devin_mcp.sandbox import Sandbox


def client_for(sandbox: Sandbox, key: str = "apk_one") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(sandbox.app()),
        base_url="http://127.0.0.1",
        headers={"authorization": f"Bearer {key}"},
    )


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(parallel=3)
