"""docs/troubleshooting.md: the cause in each row really produces the message."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.conftest import Connect, text_of
from tests.docs.pages import TROUBLESHOOTING, part
from tests.e2e.processes import COMMAND, environment, start_http_process, start_process
from tests.packaging.installed import SCRIPTS, run_subdirectory, uv_environment
from tests.upstream import V3_KEY, Upstream, answer, lose_reply, page

ENTERPRISE_KEY = "cog_sandbox_enterprise-test"


@dataclass(frozen=True)
class Setup:
    """What a cause may need."""

    connect: Connect
    upstream: Upstream
    files: Path
    node: Callable[[], str]
    """Path of Node. Skips the test if there is none."""

    async def error_of(
        self, tool: str, *, settings: dict[str, Any] | None = None, **arguments: Any
    ) -> str:
        """The text of a call that must fail, on a server with these settings."""
        async with self.connect(**(settings or {})) as client:
            return await client.error(tool, **arguments)


Cause = Callable[[Setup], Awaitable[str]]
"""Produces the output or error text in which the message must appear."""


async def startup_error(*arguments: str, **variables: str) -> str:
    async with start_process(*arguments, **variables) as process:
        assert await process.wait_for_exit() == 2
    return process.stderr.decode()


async def uvx_not_on_path(setup: Setup) -> str:
    """Most clients are written in Node; this is its message for a command that does not exist."""
    code = """
        require('child_process').spawn('uvx', ['devin-mcp'])
            .on('error', problem => console.log(problem.message))
    """
    process = await asyncio.create_subprocess_exec(
        setup.node(),
        "-e",
        code,
        env=environment(PATH=str(setup.files)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return output.decode()


async def uvx_with_index(index: str) -> str:
    """What `uvx devin-mcp` prints when this is the only package index."""
    env = uv_environment(UV_DEFAULT_INDEX=index, UV_HTTP_RETRIES="0")
    for name in ("UV_FIND_LINKS", "UV_SYSTEM_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        env.pop(name, None)
    env["UV_CACHE_DIR"] = str(run_subdirectory("empty"))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        str(SCRIPTS / "uvx"), "devin-mcp", env=env, stdout=pipe, stderr=pipe
    )
    _, errors = await process.communicate()
    return " ".join(errors.decode().split())


async def package_not_released(_: Setup) -> str:
    async def not_found(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(not_found, "127.0.0.1", 0) as server:
        return await uvx_with_index(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/simple")


@asynccontextmanager
async def untrusted_tls_server() -> AsyncIterator[int]:
    """The port of a server whose certificate authority is not trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def index_behind_tls_proxy(_: Setup) -> str:
    async with untrusted_tls_server() as port:
        return await uvx_with_index(f"https://localhost:{port}/simple")


async def devin_behind_tls_proxy(setup: Setup) -> str:
    async with untrusted_tls_server() as port:
        return await with_base_url(setup, f"https://localhost:{port}")


async def host_name_unknown(setup: Setup) -> str:
    return await with_base_url(setup, "https://no-such-host.invalid")


def proxy_is(text: str) -> Cause:
    async def call_through_proxy(setup: Setup) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("no_proxy", raising=False)
            patch.delenv("NO_PROXY", raising=False)
            patch.setenv("http_proxy", text)
            return await setup.error_of("list_sessions")

    return call_through_proxy


async def with_base_url(setup: Setup, url: str) -> str:
    return await setup.error_of("list_sessions", settings={"DEVIN_BASE_URL": url})


def key_is(text: str) -> Cause:
    return lambda setup: setup.error_of("list_sessions", settings={"DEVIN_API_KEY": text})


def session_with(prompt: str) -> Cause:
    return lambda setup: setup.error_of("create_session", prompt=prompt)


async def session_rate_limit(setup: Setup) -> str:
    async with setup.connect(max_sessions=1) as client:
        await client.ok("create_session", prompt="p")
        return await client.error("create_session", prompt="p")


async def reply_lost(setup: Setup) -> str:
    setup.upstream.fail("POST", "/v1/playbooks", lose_reply)
    return await setup.error_of("create_playbook", title="t", body="b")


async def key_rejected(setup: Setup) -> str:
    setup.upstream.fail("GET", "/v1/sessions", answer(401))
    return await setup.error_of("list_sessions")


async def several_organizations(setup: Setup) -> str:
    return await key_is(ENTERPRISE_KEY)(setup)


async def organization_unknown(setup: Setup) -> str:
    setup.upstream.fail("GET", "/v3/enterprise/organizations", answer(403))
    return await key_is(ENTERPRISE_KEY)(setup)


async def other_organization(setup: Setup) -> str:
    settings = {"DEVIN_API_KEY": V3_KEY, "DEVIN_ORG_ID": "org-other"}
    return await setup.error_of("list_sessions", settings=settings)


async def permission_missing(setup: Setup) -> str:
    setup.upstream.fail("GET", "/v3/organizations/org-sandbox/sessions", answer(403))
    return await key_is(V3_KEY)(setup)


async def argument_of_v1(setup: Setup) -> str:
    settings = {"DEVIN_API_KEY": V3_KEY}
    return await setup.error_of("create_session", settings=settings, prompt="p", unlisted=True)


async def repository_unknown(setup: Setup) -> str:
    settings = {"DEVIN_API_KEY": V3_KEY}
    return await setup.error_of("delegate_task", settings=settings, prompt="p", repository="a/b")


async def refused_in_between(setup: Setup) -> str:
    setup.upstream.fail("GET", "/v1/sessions", page(403))
    return await setup.error_of("list_sessions")


async def captive_portal(setup: Setup) -> str:
    setup.upstream.fail("GET", "/v1/sessions", page(200))
    return await setup.error_of("list_sessions")


async def started_in_root_directory(_: Setup) -> str:
    command = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"], env=environment(), cwd="/"
    )
    async with Client(stdio_client(command)) as client:
        result = await client.call_tool("devin_delegate_task", {"prompt": "p", "files": ["a.txt"]})
    return text_of(result)


async def file_outside_root(setup: Setup) -> str:
    return await setup.error_of(
        "upload_attachment", settings={"files_root": [setup.files]}, path="/etc/passwd"
    )


async def setting_misspelt(_: Setup) -> str:
    return await startup_error(DEVIN_MCP_MAXACU="5")


async def public_address_without_auth(_: Setup) -> str:
    return await startup_error("http", "--host", "192.0.2.1")


async def http_ping(*arguments: str, headers: dict[str, str]) -> str:
    """The answer of an HTTP server started with these arguments."""
    accept = {"accept": "application/json, text/event-stream"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with (
        start_http_process(*arguments) as (_, url),
        httpx.AsyncClient(trust_env=False) as client,
    ):
        return (await client.post(url, json=ping, headers=accept | headers)).text


async def no_caller_key(_: Setup) -> str:
    return await http_ping("--auth", "caller-key", headers={})


async def organization_header(_: Setup) -> str:
    return await http_ping("--sandbox", headers={"X-Devin-Org-Id": "org-1a2b"})


async def unknown_host_header(_: Setup) -> str:
    return await http_ping("--sandbox", headers={"host": "mcp.example.com"})


async def port_in_use(setup: Setup) -> str:
    return await startup_error("http", "--sandbox", "--port", str(setup.upstream.port))


CAUSES: dict[str, Cause] = {
    "was not found in the package registry": package_not_released,
    "invalid peer certificate: UnknownIssuer": index_behind_tls_proxy,
    "spawn uvx ENOENT": uvx_not_on_path,
    "There is no Devin API key, so nothing was sent.": key_is(""),
    "is a placeholder that nobody filled in": key_is("${DEVIN_API_KEY}"),
    "This is the login token of the Devin CLI": key_is("devin-session-token$x"),
    "Devin does not accept this API key": key_rejected,
    "This key has 2 organizations": several_organizations,
    "Devin does not say which organization this key is for.": organization_unknown,
    "was chosen, but the key belongs to": other_organization,
    "Devin accepts the key, so it lacks the permission": permission_missing,
    "exists on v1 only": argument_of_v1,
    "Devin cannot reach the repository": repository_unknown,
    "The Devin organization is out of quota (403).": session_with("sandbox:quota"),
    "Too many sessions are running in this organization": session_with("sandbox:session-limit"),
    "the server's limit (--max-sessions).": session_rate_limit,
    "so it may have been carried out.": reply_lost,
    "its certificate did not verify": devin_behind_tls_proxy,
    "its name does not resolve": host_name_unknown,
    "cannot be used. Nothing was sent. Use an http, https, socks5": proxy_is("me:pass#word@x:1"),
    "the proxy from": proxy_is("127.0.0.1:1"),
    "answered instead of Devin (": refused_in_between,
    "a web page instead of data (a proxy in between?)": captive_portal,
    "Local files cannot be read here": started_in_root_directory,
    "lies outside the allowed directories.": file_outside_root,
    "is not a setting of devin-mcp": setting_misspelt,
    "is not a loopback address, so say who may call": public_address_without_auth,
    "Send your own Devin API key in the header X-Devin-Api-Key": no_caller_key,
    "This server works in the organization of its own Devin key": organization_header,
    "This server is not known by that name": unknown_host_header,
    "cannot be used on 127.0.0.1": port_in_use,
}


def test_every_documented_message_has_a_cause() -> None:
    rows = part(TROUBLESHOOTING, "troubleshooting").splitlines()[2:]
    messages = [re.match(r"\| `([^`]+)` \| [^|]+ \| [^|]+ \|$", row) for row in rows]
    assert all(messages), "a row has another form"
    assert [match[1] for match in messages if match] == list(CAUSES)


@pytest.mark.parametrize("message", CAUSES)
async def test_cause_produces_the_message(
    message: str, connect: Connect, upstream: Upstream, files: Path, request: pytest.FixtureRequest
) -> None:
    setup = Setup(connect, upstream, files, lambda: request.getfixturevalue("node"))
    assert message in await CAUSES[message](setup)
