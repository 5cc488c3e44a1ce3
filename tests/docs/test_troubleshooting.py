"""Every message in the README's table is really seen: each is brought about by what the table says brings it about."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.conftest import Connect, text_of
from tests.e2e.processes import COMMAND, environment, running, serving
from tests.packaging.installed import SCRIPTS, place, with_uv
from tests.upstream import Upstream, answer, lost, page

README = Path(__file__).parents[2] / "README.md"
Scene = Callable[["Stage"], Awaitable[str]]


class Stage:
    def __init__(
        self, connect: Connect, upstream: Upstream, files: Path, node: Callable[[], str]
    ) -> None:
        self.connect, self.devin_says, self.files, self.node = connect, upstream, files, node

    async def told(
        self, tool: str, *, settings: dict[str, Any] | None = None, **arguments: Any
    ) -> str:
        """What a call says that must fail."""
        async with self.connect(**(settings or {})) as client:
            return await client.error(tool, **arguments)


async def printed(*arguments: str, **given: str) -> str:
    async with running(*arguments, **given) as process:
        assert await process.end() == 2
    return process.stderr.decode()


async def no_uvx(stage: Stage) -> str:
    """What Node, in which most clients are written, says of a command that it does not find."""
    code = "require('child_process').spawn('uvx', ['devin-mcp']).on('error', problem => console.log(problem.message))"
    process = await asyncio.create_subprocess_exec(
        stage.node(),
        "-e",
        code,
        env=environment(PATH=str(stage.files)),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return said.decode()


async def uvx_says(index: str) -> str:
    """With nothing but this index."""
    env = with_uv(UV_DEFAULT_INDEX=index, UV_HTTP_RETRIES="0")
    env = {
        name: value
        for name, value in env.items()
        if name not in {"UV_FIND_LINKS", "UV_SYSTEM_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    }
    env["UV_CACHE_DIR"] = str(place("empty"))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        str(SCRIPTS / "uvx"), "devin-mcp", env=env, stdout=pipe, stderr=pipe
    )
    _, said = await process.communicate()
    return " ".join(said.decode().split())


async def not_released(_: Stage) -> str:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(nothing, "127.0.0.1", 0) as server:
        return await uvx_says(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/simple")


async def fetched_through_a_proxy(_: Stage) -> str:
    async with a_stranger() as port:
        return await uvx_says(f"https://localhost:{port}/simple")


async def out_of_quota(stage: Stage) -> str:
    return await stage.told("create_session", prompt="sandbox:quota")


async def one_too_many(stage: Stage) -> str:
    async with stage.connect(max_sessions=1) as client:
        await client.ok("create_session", prompt="p")
        return await client.error("create_session", prompt="p")


async def reply_lost(stage: Stage) -> str:
    stage.devin_says.fail("POST", "/v1/playbooks", lost)
    return await stage.told("create_playbook", title="t", body="b")


@asynccontextmanager
async def a_stranger() -> AsyncIterator[int]:
    """The port of somebody whose certificate nobody here trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def nobody(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(nobody, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def signed_anew(stage: Stage) -> str:
    async with a_stranger() as port:
        return await stage.told(
            "list_sessions", settings={"DEVIN_BASE_URL": f"https://localhost:{port}"}
        )


async def key_refused(stage: Stage) -> str:
    stage.devin_says.fail("GET", "/v1/sessions", answer(401))
    return await stage.told("list_sessions")


async def signed_in_nowhere(stage: Stage) -> str:
    stage.devin_says.fail("GET", "/v1/sessions", page(200))
    return await stage.told("list_sessions")


async def no_directory(_: Stage) -> str:
    command = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"], env=environment(), cwd="/"
    )
    async with Client(stdio_client(command)) as client:
        result = await client.call_tool("devin_delegate_task", {"prompt": "p", "files": ["a.txt"]})
    return text_of(result)


async def outside(stage: Stage) -> str:
    return await stage.told(
        "upload_attachment", settings={"files_root": [stage.files]}, path="/etc/passwd"
    )


async def asked(*arguments: str, headers: dict[str, str]) -> str:
    async with serving(*arguments) as (_, url), httpx.AsyncClient(trust_env=False) as client:
        hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        return (
            await client.post(
                url,
                json=hello,
                headers={"accept": "application/json, text/event-stream", **headers},
            )
        ).text


async def no_key_over_http(_: Stage) -> str:
    return await asked("--auth", "caller-key", headers={})


async def other_name(_: Stage) -> str:
    return await asked("--sandbox", headers={"host": "mcp.example.com"})


async def port_taken(stage: Stage) -> str:
    return await printed("http", "--sandbox", "--port", str(stage.devin_says.port))


SCENES: dict[str, Scene] = {
    "was not found in the package registry": not_released,
    "invalid peer certificate: UnknownIssuer": fetched_through_a_proxy,
    "spawn uvx ENOENT": no_uvx,
    "There is no Devin API key, so nothing was sent.": lambda stage: stage.told(
        "list_sessions", settings={"DEVIN_API_KEY": ""}
    ),
    "is a placeholder that nobody filled in": lambda stage: stage.told(
        "list_sessions", settings={"DEVIN_API_KEY": "${DEVIN_API_KEY}"}
    ),
    "This is a cog_ key.": lambda stage: stage.told(
        "list_sessions", settings={"DEVIN_API_KEY": "cog_abcdefgh"}
    ),
    "Devin does not accept this API key (401).": key_refused,
    "The Devin organization is out of quota (403).": out_of_quota,
    "Too many sessions are running in this organization (429).": lambda stage: stage.told(
        "create_session", prompt="sandbox:session-limit"
    ),
    "its limit (--max-sessions).": one_too_many,
    "so it may have been carried out.": reply_lost,
    "its certificate did not verify": signed_anew,
    "its name does not resolve": lambda stage: stage.told(
        "list_sessions", settings={"DEVIN_BASE_URL": "https://no-such-host.invalid"}
    ),
    "a web page instead of data (a proxy in between?)": signed_in_nowhere,
    "Local files cannot be read here": no_directory,
    "lies outside the allowed directories.": outside,
    "is not a setting of devin-mcp": lambda _: printed(DEVIN_MCP_MAXACU="5"),
    "is not a loopback address, so say who may call": lambda _: printed(
        "http", "--host", "192.0.2.1"
    ),
    "Send your own Devin API key in the header X-Devin-Api-Key": no_key_over_http,
    "This server is not known by that name": other_name,
    "cannot be used on 127.0.0.1": port_taken,
}


def test_every_row_has_its_scene() -> None:
    found = re.search(
        r"<!-- troubleshooting -->\n(.*?)<!-- /troubleshooting -->", README.read_text(), re.DOTALL
    )
    assert found is not None
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| [^|]+ \|$", found[1], re.MULTILINE)
    assert rows == list(SCENES)
    assert found[1].count("\n") == len(rows) + 2, "a row that is written otherwise"


@pytest.mark.parametrize("message", SCENES)
async def test_the_message_is_seen(
    message: str, connect: Connect, upstream: Upstream, files: Path, request: pytest.FixtureRequest
) -> None:
    assert message in await SCENES[message](
        Stage(connect, upstream, files, lambda: request.getfixturevalue("node"))
    )
