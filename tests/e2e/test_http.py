"""`devin-mcp http` as a process: both eras, no stream held open, a bounded shutdown."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import httpx
import pytest
from mcp import Client

from tests.clock import HANG_SECONDS
from tests.conftest import ToolClient
from tests.e2e.processes import start_http_process, start_process
from tests.upstream import KEY, Upstream, delay_reply, never_answer


async def wait_until_refused(url: str) -> None:
    """Until the server has begun to stop: it accepts no more connections."""
    host, port = url.split("/")[2].split(":")
    async with asyncio.timeout(HANG_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return
            except ConnectionResetError:  # the listener closed between the two halves of connect
                continue
            writer.close()
            await asyncio.sleep(0.01)


async def test_clients_of_both_eras_share_one_server() -> None:
    async with start_http_process("--sandbox") as (server, url):
        async with Client(url) as modern, Client(url, mode="legacy") as legacy:
            assert modern.protocol_version == "2026-07-28"
            assert legacy.protocol_version == "2025-11-25"
            session = await ToolClient(modern).ok("create_session", prompt="sandbox:quick")
            listed = await ToolClient(legacy).ok("list_sessions")
            assert [row["session_id"] for row in listed["sessions"]] == [session["session_id"]]
            for tool in (await modern.list_tools()).tools:
                local = {"path", "save_to", "value_from_env"} & set(tool.input_schema["properties"])
                assert not local, f"{tool.name} reaches this machine's files or variables"
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait_for_exit(close=False) == 0


async def test_foreign_requests_are_rejected_and_no_stream_is_opened() -> None:
    async with start_http_process("--sandbox") as (_, url), httpx.AsyncClient(timeout=5) as web:
        for method in ("GET", "DELETE", "PUT"):
            answer = await web.request(method, url, headers={"accept": "text/event-stream"})
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accept = {"accept": "application/json, text/event-stream"}
        for header, status in (
            ({"host": "evil.example"}, 421),
            ({"origin": "https://evil.example"}, 403),
        ):
            assert (await web.post(url, json=ping, headers=accept | header)).status_code == status
        headers = accept | {"content-type": "application/json"}
        large = await web.post(url, content=b"x" * 5_000_000, headers=headers)
        assert large.status_code == 413
        assert (await web.get(url.replace("/mcp", "/"))).status_code == 404


async def test_server_stops_within_the_grace_period_with_calls_open(upstream: Upstream) -> None:
    """One call of each era gets no answer from Devin; the process ends all the same."""
    upstream.fail("GET", "/v1/sessions", *[never_answer] * 9)
    async with (
        start_http_process(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url) as (server, url),
        asyncio.TaskGroup() as group,
    ):

        async def call(mode: str) -> None:
            with pytest.raises(BaseException):  # noqa: B017, PT011 - depends on client and moment
                async with Client(url, mode=mode) as client:
                    await client.call_tool("devin_list_sessions", {})
                    raise ConnectionError  # an answered call is fine, too

        group.create_task(call("auto"))
        group.create_task(call("legacy"))
        await upstream.wait_for("GET", "/v1/sessions", 2)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait_for_exit(close=False) == 0
    assert time.monotonic() - started < 11
    assert b"Traceback" not in server.stderr


async def test_waiting_call_gets_its_cursor_when_the_server_stops(upstream: Upstream) -> None:
    async with (
        start_http_process(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url) as (server, url),
        Client(url) as modern,
        Client(url, mode="legacy") as legacy,
    ):
        waits = []
        for client in (modern, legacy):
            await client.list_tools()  # the client validates the result with the tool's schema
            session = await ToolClient(client).ok("create_session", prompt="sandbox:forever")
            session_id = session["session_id"]
            wait = ToolClient(client).ok("wait_for_sessions", session_ids=[session_id])
            waits.append(asyncio.ensure_future(wait))
            await upstream.wait_for("GET", f"/v1/sessions/{session_id}")
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for result in await asyncio.gather(*waits):
            assert (result["timed_out"], bool(result["cursor"])) == (True, True)
        assert await server.wait_for_exit(close=False) == 0
    assert time.monotonic() - started < 4
    assert b"ASGI" not in server.stderr


async def test_answer_that_comes_within_the_grace_period_arrives(upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", "/v1/sessions", delay_reply(gate), delay_reply(gate))
    async with (
        start_http_process(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url) as (server, url),
        Client(url) as modern,
        Client(url, mode="legacy") as legacy,
    ):
        creates = []
        for client in (modern, legacy):
            await client.list_tools()
            create = ToolClient(client).ok("create_session", prompt="p")
            creates.append(asyncio.ensure_future(create))
        await upstream.wait_for("POST", "/v1/sessions", 2)
        server.process.send_signal(signal.SIGTERM)
        await wait_until_refused(url)
        gate.set()
        for session in await asyncio.gather(*creates):
            assert session["session_id"] in upstream.organization.sessions


async def test_sandbox_command_serves_the_api_to_another_process() -> None:
    async with start_process("sandbox", "--port", "0", "--log-format", "json") as api:
        address = (await api.wait_for_log("simulated_devin"))["url"]
        async with start_process(DEVIN_BASE_URL=address, DEVIN_API_KEY="apk_anything") as server:
            await server.initialize()
            call = {"name": "devin_list_playbooks", "arguments": {}}
            server.send(id=1, method="tools/call", params=call)
            result = (await server.read_message())["result"]
            assert len(json.loads(result["content"][0]["text"])["playbooks"]) == 6
            assert await server.wait_for_exit() == 0
        api.process.send_signal(signal.SIGINT)
        assert await api.wait_for_exit(close=False) == 0
