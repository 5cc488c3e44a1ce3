"""Variables, files and directories that are not ours never stop the start, and are blamed rightly.

In every environment the server starts and lists all tools, prompts and resources with their
descriptions. A call works, or its error names the variable that is the cause.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from devin_mcp.api.no_proxy import read_no_proxy
from devin_mcp.keys import DevinApi
from tests.cli.command_line import CommandLine
from tests.conftest import Connect, Logs
from tests.declared import declared_tools
from tests.e2e.foreign_environments import NETWORKS, PROCESSES, Environment
from tests.e2e.processes import (
    Process,
    environment,
    start_http_process,
    start_process_in,
)
from tests.http_client import connect_over_http
from tests.network import Proxy, SocksProxy, listening
from tests.upstream import KEY, Upstream

LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
CALL = {"name": "devin_list_playbooks", "arguments": {}}


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
async def ports(upstream: Upstream) -> AsyncIterator[dict[str, str]]:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with (
        listening(Proxy(upstream.port)) as proxy,
        listening(SocksProxy()) as socks,
        listening(refuse) as plain,
    ):
        yield {"proxy": str(proxy), "socks": str(socks), "plain": str(plain)}


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("foreign", NETWORKS, ids=lambda foreign: foreign.name)
async def test_proxies_of_others(
    connect: Connect,
    api: DevinApi,
    ports: dict[str, str],
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
    foreign: Environment,
) -> None:
    read_no_proxy.cache_clear()  # it warns once per process
    for name, value in foreign.variables.items():
        monkeypatch.setenv(name, re.sub(r"\{(\w+)\}", lambda port: ports[port[1]], value or ""))
    async with connect() as client:
        listed = (await client.sdk.list_tools()).tools
        assert {tool.name for tool in listed} == declared_tools(api=api)
        for tool, arguments in (("list_sessions", {}), ("create_session", {"prompt": "p"})):
            if not foreign.blames:
                await client.ok(tool, **arguments)
                continue
            text = await client.error(tool, **arguments)
            assert f"proxy from {foreign.blames}" in text
            assert "DEVIN_BASE_URL" not in text
            assert "hunter2" not in text
    assert "hunter2" not in json.dumps(logs())
    assert_only_warning(logs(), foreign.warns_of)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("foreign", PROCESSES, ids=lambda foreign: foreign.name)
async def test_process_of_others(
    connect: Connect, upstream: Upstream, tmp_path: Path, foreign: Environment
) -> None:
    """Started in a directory that cannot be written."""
    directory = tmp_path / "read-only"
    directory.mkdir()
    directory.chmod(0o555)
    variables = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url, **foreign.variables}
    async with start_process_in(directory, "--log-format", "json", **variables) as server:
        await server.initialize()
        lists = {method: await descriptions(server, method, key) for method, key in LISTS.items()}
        server.send(id=1, method="tools/call", params=CALL)
        assert (await server.read_message())["result"]["isError"] is False
        assert await server.wait_for_exit() == 0
    for line in server.stdout.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    events = [json.loads(line) for line in server.stderr.splitlines()]
    assert_only_warning(events, foreign.warns_of)
    assert any("trace_id" in event for event in events) == foreign.traces
    async with connect() as client:
        assert lists == {
            "tools/list": described((await client.sdk.list_tools()).tools),
            "prompts/list": described((await client.sdk.list_prompts()).prompts),
            "resources/list": described(await client.resources()),
            "resources/templates/list": described(
                (await client.sdk.list_resource_templates()).resource_templates
            ),
        }


async def test_http_server_of_others() -> None:
    """Uvicorn and prometheus_client read variables of their own."""
    variables = {
        "WEB_CONCURRENCY": "auto",
        "FORWARDED_ALLOW_IPS": "load-balancer",
        "PROMETHEUS_MULTIPROC_DIR": "/no/such/directory",
        "SSL_CERT_FILE": "/no/such.pem",
        "PORT": "tcp://10.0.0.1:80",
    }
    async with (
        start_http_process("--sandbox", "--metrics-port", "0", **variables) as (server, url),
        connect_over_http(url) as client,
    ):
        assert (await server.wait_for_log("variable_ignored"))["variable"] == "SSL_CERT_FILE"
        await client.ok("list_sessions")


@pytest.mark.skipif(sys.platform == "win32", reason="a directory in use cannot be deleted")
def test_deleted_directory(tmp_path: Path) -> None:
    code = (
        "import os; from devin_mcp.cli.main import main; "
        "os.rmdir(os.getcwd()); print(main(['--sandbox']))"
    )
    process = run(
        [sys.executable, "-c", code],
        input="",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(PYTHONSAFEPATH="1"),
        timeout=30,
        check=False,
    )
    assert process.stdout == "0\n", process.stderr


@pytest.mark.parametrize("command", ["tools", "config", "config json", "doctor --sandbox"])
@pytest.mark.parametrize(
    "variables",
    [
        {"SSL_CERT_FILE": "/no/such.pem"},
        {"SSLKEYLOGFILE": "/no/such/keys.log"},
        {"COLUMNS": "1"},
        {"HOME": ""},
        {"NO_PROXY": "fd00::/8,[::1],host:*", "HTTPS_PROXY": "socks://127.0.0.1:1"},
    ],
    ids=" ".join,
)
def test_commands_work_everywhere(
    cli: CommandLine, command: str, variables: dict[str, str]
) -> None:
    result = cli(*command.split(), **variables)
    assert result.status == 0, result.stderr
    assert result.stdout
    assert not any(name in result.stderr for name in variables)


async def descriptions(server: Process, method: str, key: str) -> dict[str, str]:
    server.send(id=1, method=method)
    rows: list[dict[str, Any]] = (await server.read_message())["result"][key]
    return {row["name"]: row.get("description", "") for row in rows}


def described(rows: Sequence[Any]) -> dict[str, str]:
    return {row.name: row.description or "" for row in rows}


def assert_only_warning(events: list[dict[str, Any]], variable: str) -> None:
    """The log names this variable as unusable, and no other; empty for none."""
    warnings = [
        f"{event.get('variable', '')} {event['why']}"
        for event in events
        if event.get("event") in {"variable_ignored", "no_traces"}
    ]
    assert len(warnings) == bool(variable)
    assert variable in " ".join(warnings)
