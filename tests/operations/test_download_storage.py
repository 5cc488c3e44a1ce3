"""The storage that a download is redirected to is not Devin."""

from __future__ import annotations

import pytest

from devin_mcp.keys import DevinApi
from tests.conftest import Connect
from tests.upstream import Upstream, answer


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1:1/x", "http://127.0.0.1:1/x", "https://no-such-host.invalid/x"]
)
async def test_storage_that_cannot_be_reached_is_not_told_as_devin(
    connect: Connect, upstream: Upstream, api: DevinApi, location: str
) -> None:
    upstream.fail_operation("download_attachment", answer(307, b"", location=location))
    async with connect() as client:
        text = await client.error("download_attachment", uuid="u", name="t.txt")
    assert text.startswith("The storage that Devin redirected the download to could not be")
    assert "DEVIN_BASE_URL" not in text
