"""Proxies, certificates and idle connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from devin_mcp.api.connections import ConnectionPools
from tests.clock import AutoClock
from tests.conftest import Connect, eventually, settings_for
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
        request = await reader.readuntil(b"\r\n\r\n")
        self.lines.append(request.split(b"\r\n")[0].decode())
        if self.refuse:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        if request.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            up_writer.write(request.replace(f"http://127.0.0.1:{self.target}".encode(), b""))
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


class TlsServer:
    """An API over TLS with a certificate of this authority."""

    def __init__(self, authority: trustme.CA) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self.context)
        self.request_count = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await read_request(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        self.request_count += 1
        writer.write(
            head(200, {"content-length": "16", "connection": "close"}) + b'{"sessions": []}'
        )
        writer.close()


@asynccontextmanager
async def listening(
    serve: Proxy | TlsServer, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port on which this is served."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_retries_go_through_the_proxy(
    connect: Connect, upstream: Upstream, clock: AutoClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(upstream.port)
    upstream.fail("GET", "/v1/sessions", answer(503), answer(503))
    async with listening(proxy) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        async with connect() as client:
            await client.ok("list_sessions")
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
    assert upstream.count("GET") == 1, "the request did not go to the proxy"


async def test_unsupported_proxy_is_named_in_the_error(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:1")
    async with connect() as client:
        for tool, arguments in (("list_sessions", {}), ("create_session", {"prompt": "p"})):
            text = await client.error(tool, **arguments)
            assert "cannot be used" in text
            assert "Nothing was sent" in text


@pytest.fixture
def company_ca() -> trustme.CA:
    """A certificate authority that no certificate store contains."""
    return trustme.CA()


async def test_certificate_of_an_unknown_authority_is_refused(
    connect: Connect, company_ca: trustme.CA
) -> None:
    tls_server = TlsServer(company_ca)
    async with (
        listening(tls_server, tls_server.context) as port,
        connect(DEVIN_BASE_URL=f"https://localhost:{port}") as client,
    ):
        assert "certificate did not verify" in await client.error("list_sessions")
    assert tls_server.request_count == 0


async def test_ca_bundle_is_added_to_the_trusted_certificates(
    connect: Connect, company_ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "company.pem"
    company_ca.cert_pem.write_to_path(str(bundle))
    tls_server = TlsServer(company_ca)
    async with listening(tls_server, tls_server.context) as port:
        proxy = Proxy(port)
        async with listening(proxy) as proxy_port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy_port}")
            url = f"https://localhost:{port}"
            async with connect(DEVIN_BASE_URL=url, SSL_CERT_FILE=bundle) as client:
                assert (await client.ok("list_sessions"))["sessions"] == []
    assert tls_server.request_count == 1
    assert proxy.lines[0] == f"CONNECT localhost:{port} HTTP/1.1"


async def test_request_refused_by_the_proxy_is_reported_as_not_sent(
    connect: Connect, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(upstream.port)
    proxy.refuse = True
    async with listening(proxy) as proxy_port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy_port}")
        async with connect(DEVIN_BASE_URL="https://localhost:1") as client:
            text = await client.error("create_session", prompt="p")
    assert "configured proxy" in text
    assert "Nothing was changed" in text
    assert proxy.lines[0] == "CONNECT localhost:1 HTTP/1.1"


async def test_idle_connections_of_a_key_are_closed(upstream: Upstream, clock: AutoClock) -> None:
    """Each key has its own pool; only the one used last stays open."""
    pools = ConnectionPools(settings_for(upstream), None, clock)
    clients = []
    for key in ("first", "second", "third"):
        async with pools.client(key) as client:
            clients.append(client)
    clock.skip(20)
    pools._cleanup()  # noqa: SLF001 - called by the event loop's timer
    await eventually(lambda: clients[0].is_closed and clients[1].is_closed)
    assert not clients[2].is_closed
    await pools.aclose()
    assert clients[2].is_closed
