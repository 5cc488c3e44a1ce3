"""Proxies, certificates and idle connections."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from devin_mcp.api.client import DevinClient
from devin_mcp.operations.secrets import list_secrets
from tests.clock import AutoClock
from tests.conftest import Connect, settings_for
from tests.upstream import Upstream, answer, head, read_request

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Proxy:
    """A forwarding HTTP proxy: CONNECT tunnels to one place, plain requests are passed on."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.lines: list[str] = []
        self.refuse = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        self.lines.append(asked.split(b"\r\n")[0].decode())
        if self.refuse:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        if asked.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            up_writer.write(asked.replace(f"http://127.0.0.1:{self.target}".encode(), b""))
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


class Secure:
    """An API over TLS whose certificate a company's own authority signed."""

    def __init__(self, authority: trustme.CA) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self.context)
        self.served = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await read_request(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        self.served += 1
        writer.write(
            head(200, {"content-length": "16", "connection": "close"}) + b'{"sessions": []}'
        )
        writer.close()


async def test_retries_go_through_the_proxy(
    connect: Connect, upstream: Upstream, clock: AutoClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(upstream.port)
    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    upstream.fail("GET", "/v1/sessions", answer(503), answer(503))
    async with connect() as client:
        await client.ok("list_sessions")
    server.close()
    assert upstream.count("GET") == 3
    assert (
        proxy.lines[0]
        == f"GET http://127.0.0.1:{upstream.port}/v1/sessions?limit=20&offset=0 HTTP/1.1"
    )


async def test_no_proxy_variable_is_respected(
    connect: Connect, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with connect() as client:
        await client.ok("list_sessions")
    assert upstream.count("GET") == 1, "asked directly: nothing listens where the proxy would be"


async def test_unsupported_proxy_is_named_in_the_error(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:1")
    async with connect() as client:
        for tool, arguments in (("list_sessions", {}), ("create_session", {"prompt": "p"})):
            text = await client.error(tool, **arguments)
            assert "cannot be used" in text
            assert "Nothing was sent" in text


async def test_ca_bundle_is_added_to_the_trusted_certificates(
    connect: Connect, clock: AutoClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "company.pem"
    authority.cert_pem.write_to_path(str(bundle))
    secure = Secure(authority)
    server = await asyncio.start_server(secure, "127.0.0.1", 0, ssl=secure.context)
    port = server.sockets[0].getsockname()[1]
    proxy = Proxy(port)
    tunnel = await asyncio.start_server(proxy, "127.0.0.1", 0)
    url = f"https://localhost:{port}"
    async with connect(DEVIN_BASE_URL=url) as client:
        assert "certificate did not verify" in await client.error("list_sessions")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{tunnel.sockets[0].getsockname()[1]}")
    async with connect(DEVIN_BASE_URL=url, SSL_CERT_FILE=bundle) as client:
        assert (await client.ok("list_sessions"))["sessions"] == []
        proxy.refuse = True
        text = await client.error("create_session", prompt="p")
    server.close()
    tunnel.close()
    assert "configured proxy" in text
    assert "Nothing was changed" in text
    assert secure.served == 1
    assert proxy.lines[0] == f"CONNECT localhost:{port} HTTP/1.1"


async def test_idle_connections_of_a_key_are_closed(upstream: Upstream, clock: AutoClock) -> None:
    """Each key has its own; what one of them left open must not be kept for ever."""
    api = DevinClient(settings_for(upstream), clock=clock)
    for key in ("apk_one_aaaa", "apk_two_bbbb", "apk_three_cccc"):
        await list_secrets(api.devin(key))
    assert len(api.pools._pools) == 3
    clock.skip(20)
    api.pools._close_idle()
    assert len(api.pools._pools) == 1
    await api.aclose()
