"""fetch_json: bounded in time and bytes; Broken for the transport, ValueError for content."""

from __future__ import annotations

import asyncio

import anyio
import httpx
import pytest

from devin_mcp.api.fetch import MAX_JSON_BYTES, fetch_json
from devin_mcp.errors import Broken, NotSent
from tests.conftest import settings_for
from tests.upstream import Fault, Upstream, answer, never_answer, page


async def test_fetch_json_returns_the_object(upstream: Upstream) -> None:
    upstream.fail("GET", "/document", answer(200, {"keys": []}))
    document = await fetch_json(settings_for(upstream), f"{upstream.url}/document")
    assert document == {"keys": []}
    assert "authorization" not in upstream.requests[0].headers


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_fetch_json_raises_broken_for_an_error_status(
    upstream: Upstream, status: int
) -> None:
    upstream.fail("GET", "/document", answer(status, {}))
    with pytest.raises(Broken) as error:
        await fetch_json(settings_for(upstream), f"{upstream.url}/document")
    assert isinstance(error.value.__cause__, httpx.HTTPStatusError)


async def test_fetch_json_raises_broken_without_a_response(upstream: Upstream) -> None:
    settings, url = settings_for(upstream), f"{upstream.url}/document"
    upstream.fail("GET", "/document", never_answer)
    with anyio.fail_after(4), pytest.raises(Broken) as error:
        await fetch_json(settings, url, timeout_seconds=0.2)
    assert isinstance(error.value.__cause__, TimeoutError)
    await upstream.stop()
    with pytest.raises(Broken) as error:
        await fetch_json(settings, url)
    assert isinstance(error.value.__cause__, httpx.ConnectError)
    with pytest.raises(Broken):
        await fetch_json(settings, "http://[not-a-host")


@pytest.mark.usefixtures("no_proxies")
async def test_fetch_json_uses_the_proxies_of_the_environment(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, url = settings_for(upstream), f"{upstream.url}/document"
    upstream.fail("GET", "/document", answer(200, {"keys": []}))
    monkeypatch.setenv("HTTP_PROXY", "socks4://127.0.0.1:1")
    with pytest.raises(Broken) as error:
        await fetch_json(settings, url)
    assert isinstance(error.value.__cause__, NotSent)
    monkeypatch.setenv("NO_PROXY", "fd00::/8,127.0.0.1")
    assert await fetch_json(settings, url) == {"keys": []}


@pytest.mark.parametrize(
    "fault",
    [page(), answer(200, [1]), answer(200, b'{"a": "' + b"x" * MAX_JSON_BYTES + b'"}')],
    ids=["html", "array", "too-large"],
)
async def test_fetch_json_raises_value_error_for_other_content(
    upstream: Upstream, fault: Fault
) -> None:
    upstream.fail("GET", "/document", fault)
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are not part of the contract
        await fetch_json(settings_for(upstream), f"{upstream.url}/document")


async def test_fetch_json_can_be_cancelled(upstream: Upstream) -> None:
    upstream.fail("GET", "/document", never_answer)
    fetching = asyncio.ensure_future(fetch_json(settings_for(upstream), f"{upstream.url}/document"))
    await upstream.wait_for("GET", "/document")
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
