"""Proxies, certificates and idle connections."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trustme

from devin_mcp.api.clock import Deadline
from devin_mcp.api.connections import MAX_IDLE_CONNECTIONS, ConnectionPools
from devin_mcp.api.memory import MemoryBudget
from devin_mcp.api.organization import GET_SELF
from devin_mcp.api.request_state import RequestState
from tests.clock import AutoClock
from tests.conftest import Connect, eventually, settings_for
from tests.http_client import connect_over_http, start_http_server
from tests.network import Proxy, TlsServer, listening
from tests.upstream import KEY, Upstream, answer, delay_reply

pytestmark = pytest.mark.usefixtures("no_proxies")


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
            assert "The proxy from ALL_PROXY cannot be used" in text
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


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("/no/such.pem", "names a file that does not exist"),
        ("~nobody-of-that-name/x", "names a file that does not exist"),
        (__file__, "names a file without certificates in PEM form"),
        (os.devnull, "names a file without certificates in PEM form"),
        (str(Path(__file__).parent), "names a file that cannot be read"),
    ],
)
async def test_unusable_ca_bundle_is_named_where_a_certificate_does_not_verify(
    connect: Connect,
    company_ca: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    problem: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", file)  # OpenSSL reads it, too
    tls_server = TlsServer(company_ca)
    async with (
        listening(tls_server, tls_server.context) as port,
        connect(DEVIN_BASE_URL=f"https://localhost:{port}", SSL_CERT_FILE=file) as client,
    ):
        text = await client.error("list_sessions")
    assert f"its certificate did not verify (SSL_CERT_FILE {problem})" in text


async def test_keys_of_tls_sessions_are_never_written(
    connect: Connect, company_ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ssl.create_default_context would write SSLKEYLOGFILE, and fail if it cannot be written."""
    company_ca.cert_pem.write_to_path(str(bundle := tmp_path / "company.pem"))
    tls_server = TlsServer(company_ca)
    async with listening(tls_server, tls_server.context) as port:
        for file in (tmp_path / "keys.log", tmp_path / "gone" / "keys.log"):
            monkeypatch.setenv("SSLKEYLOGFILE", str(file))
            url = f"https://localhost:{port}"
            async with connect(DEVIN_BASE_URL=url, SSL_CERT_FILE=bundle) as client:
                await client.ok("list_sessions")
            assert not file.exists()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_answer_that_is_not_of_a_socks_proxy_names_the_variable(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Httpcore leaves the connection to the garbage collector."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with listening(refuse) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks://127.0.0.1:{port}")
        async with connect() as client:
            text = await client.error("create_session", prompt="p")
    assert "could not be reached through the proxy from ALL_PROXY" in text
    assert "Nothing was changed" in text
    gc.collect()


async def test_request_refused_by_the_proxy_is_reported_as_not_sent(
    connect: Connect, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(upstream.port)
    proxy.refuse = True
    async with listening(proxy) as proxy_port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy_port}")
        async with connect(DEVIN_BASE_URL="https://localhost:1") as client:
            text = await client.error("create_session", prompt="p")
    assert "could not be reached through the proxy from HTTPS_PROXY" in text
    assert "Nothing was changed" in text
    assert proxy.lines[0] == "CONNECT localhost:1 HTTP/1.1"


async def test_idle_connections_of_a_key_are_closed(upstream: Upstream, clock: AutoClock) -> None:
    """Each key has its own pool; only the one used last stays open."""
    pools = ConnectionPools(settings_for(upstream), None, clock)
    assert GET_SELF.v3 is not None
    state = RequestState(GET_SELF.v3, Deadline.after(clock, 30), 30, MemoryBudget().hold())
    for key in ("first", "second", "third"):
        async with pools.transport(key) as transport:
            request = httpx.Request("GET", upstream.url, extensions={"state": state})
            await transport.handle_async_request(request)
    assert upstream.connections == 3
    clock.skip(20)
    pools._cleanup()  # noqa: SLF001 - called by the event loop's timer
    await eventually(lambda: upstream.connections == 1)
    await pools.aclose()
    await eventually(lambda: upstream.connections == 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of descriptors.")
@pytest.mark.parametrize(("limit", "pools"), [(256, 8), (1024, 32), (4096, 128)])
def test_idle_pools_are_bounded_by_the_limit_of_descriptors(limit: int, pools: int) -> None:
    code = (
        "import resource; from devin_mcp.api.connections import max_idle_pools;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}));"
        "print(max_idle_pools())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert int(result.stdout) == pools, result.stderr


async def test_burst_of_a_caller_leaves_few_idle_connections(upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", ".*", *[delay_reply(gate)] * 20)
    settings = settings_for(upstream, auth="caller-key", max_calls_per_caller=20, cache_ttl=0)
    async with (
        start_http_server(settings) as url,
        connect_over_http(url, {"X-Devin-Api-Key": KEY}) as client,
    ):
        first = asyncio.ensure_future(client.ok("list_secrets"))
        await upstream.wait_for("GET", ".*")
        gate.set()
        await first
        gate.clear()
        burst = [asyncio.ensure_future(client.ok("list_sessions")) for _ in range(16)]
        await upstream.wait_for("GET", ".*", 17)
        assert upstream.connections >= 16
        gate.set()
        await asyncio.gather(*burst)
        await eventually(lambda: upstream.connections <= MAX_IDLE_CONNECTIONS)
