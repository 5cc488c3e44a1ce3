"""The built command over streamable HTTP: both eras, loopback only, no stream held open, a bounded end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time

import httpx
import pytest
from mcp import Client

from devin_mcp.asgi_server import bind_socket
from tests.conftest import Era, ToolClient
from tests.e2e.processes import running, serving
from tests.upstream import KEY, Upstream, silent, slow


async def test_clients_of_both_eras_share_one_server() -> None:
    async with serving("--sandbox") as (server, url):
        async with Client(url) as modern, Client(url, mode="legacy") as legacy:
            assert modern.protocol_version == "2026-07-28"
            assert legacy.protocol_version == "2025-11-25"
            made = await ToolClient(modern).ok("create_session", prompt="sandbox:quick")
            listed = await ToolClient(legacy).ok("list_sessions")
            assert [row["session_id"] for row in listed["sessions"]] == [made["session_id"]]
            names = [tool.input_schema["properties"] for tool in (await modern.list_tools()).tools]
            assert not [
                schema for schema in names if {"path", "save_to", "value_from_env"} & set(schema)
            ]
        server.process.send_signal(signal.SIGTERM)
        assert await server.end(close=False) == 0


def test_an_answer_in_two_pieces_waits_for_nobody() -> None:
    """Without this each call of the 2026 revision took 40 ms more: the ACK that its second piece waited for."""
    listener, _ = bind_socket("127.0.0.1", 0)
    with listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_strangers_are_turned_away_and_no_stream_is_held_open() -> None:
    async with serving("--sandbox") as (_, url), httpx.AsyncClient(timeout=5) as web:
        for method in ("GET", "DELETE", "PUT"):
            answer = await web.request(method, url, headers={"accept": "text/event-stream"})
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accept = {"accept": "application/json, text/event-stream"}
        assert (
            await web.post(url, json=hello, headers=accept | {"host": "evil.example"})
        ).status_code == 421
        assert (
            await web.post(url, json=hello, headers=accept | {"origin": "https://evil.example"})
        ).status_code == 403
        assert (
            await web.post(
                url, content=b"x" * 5_000_000, headers=accept | {"content-type": "application/json"}
            )
        ).status_code == 413
        assert (await web.get(url.replace("/mcp", "/"))).status_code == 404


async def test_it_ends_within_the_grace_period_with_calls_open(
    upstream: Upstream, era: Era
) -> None:
    upstream.fail("GET", "/v1/sessions", *[silent] * 9)
    async with (
        serving(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url) as (server, url),
        asyncio.TaskGroup() as group,
    ):

        async def call_and_be_cut_off() -> None:
            with pytest.raises(BaseException):  # noqa: B017, PT011 - which one depends on client and moment
                async with Client(url, mode=era) as client:
                    await client.call_tool("devin_list_sessions", {})
                    raise ConnectionError  # an answered call is fine too

        group.create_task(call_and_be_cut_off())
        await upstream.arrived.wait()
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert await server.end(close=False) == 0
    assert time.monotonic() - started < 11
    assert b"Traceback" not in server.stderr


async def test_who_waits_when_the_server_ends_is_told_where_to_go_on(era: Era) -> None:
    async with serving("--sandbox") as (server, url), Client(url, mode=era) as client:
        await client.list_tools()
        one = (await ToolClient(client).ok("create_session", prompt="sandbox:forever"))[
            "session_id"
        ]
        wait = asyncio.ensure_future(ToolClient(client).ok("wait_for_sessions", session_ids=[one]))
        await asyncio.sleep(0.5)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        told = await wait
        assert (told["timed_out"], bool(told["cursor"])) == (True, True)
        assert await server.end(close=False) == 0
    assert time.monotonic() - started < 4
    assert b"ASGI" not in server.stderr


async def test_an_answer_that_comes_within_the_grace_still_arrives(
    upstream: Upstream, era: Era
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", "/v1/sessions", slow(gate))
    async with (
        serving(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url) as (server, url),
        Client(url, mode=era) as client,
    ):
        await client.list_tools()  # the client looks up the output schema when the answer is there, and nobody serves by then
        creating = asyncio.ensure_future(ToolClient(client).ok("create_session", prompt="p"))
        await upstream.arrived.wait()
        server.process.send_signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(1, gate.set)
        assert (await creating)["session_id"] in upstream.organization.sessions


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])  # noqa: S104 - refused, which is the point
async def test_anything_but_loopback_is_refused(host: str) -> None:
    async with running("http", "--host", host, "--sandbox") as server:
        assert await server.end() == 2
    assert b"loopback" in server.stderr
    assert server.stderr.count(b"\n") == 1


async def test_a_taken_port_is_one_clear_line() -> None:
    async with serving("--sandbox") as (_, url):
        async with running(
            "http", "--port", url.split(":")[2].split("/")[0], "--sandbox"
        ) as second:
            assert await second.end() == 2
        assert second.stderr.count(b"\n") == 1
        assert b"--port" in second.stderr


async def test_the_simulated_api_serves_other_programs() -> None:
    async with running("sandbox", "--port", "0", "--log-format", "json") as api:
        address = (await api.logged("simulated_devin"))["url"]
        async with running(DEVIN_BASE_URL=address, DEVIN_API_KEY="apk_anything") as server:
            await server.open()
            server.send(
                id=1, method="tools/call", params={"name": "devin_list_playbooks", "arguments": {}}
            )
            assert (
                len(json.loads((await server.line())["result"]["content"][0]["text"])["playbooks"])
                == 6
            )
            assert await server.end() == 0
        api.process.send_signal(signal.SIGINT)
        assert await api.end(close=False) == 0
