"""Presigned download links."""

from __future__ import annotations

from devin_mcp.sandbox import Sandbox
from tests.sandbox.conftest import client_for


async def test_download_link_expires_and_refuses_a_key(sandbox: Sandbox) -> None:
    async with client_for(sandbox) as client:
        url = (await client.post("/v1/attachments", files={"file": ("a b.txt", b"hello")})).json()
        path = url.removeprefix("https://sandbox.invalid")
        link = (await client.get(f"/v1{path}")).headers["location"]
        assert (await client.get(link)).status_code == 400
        del client.headers["authorization"]
        assert (await client.get(link)).content == b"hello"
        sandbox.clock.advance(61)
        assert (await client.get(link)).status_code == 403
