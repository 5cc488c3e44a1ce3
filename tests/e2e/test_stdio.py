"""The built command over stdio: a pure wire, both eras, and clean endings."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from subprocess import run

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.conftest import Era, ToolClient
from tests.e2e.processes import COMMAND, environment, running
from tests.notification_recorder import NotificationRecorder, watching
from tests.upstream import KEY, Upstream, slow


async def test_a_client_of_either_era_delegates_a_task(era: Era) -> None:
    server = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"], env=environment()
    )
    async with Client(stdio_client(server), mode=era) as client:
        assert client.instructions is not None
        assert "SANDBOX" in client.instructions
        assert len((await client.list_tools()).tools) == 22
        made = await ToolClient(client).ok("create_session", prompt="sandbox:quick")
        assert made["url"].startswith("https://sandbox.invalid/")


async def test_a_client_of_either_era_is_told_of_changes(era: Era) -> None:
    ears, uri = NotificationRecorder(), "devin://playbooks/playbook-0001"
    server = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"], env=environment()
    )
    notifications = ears.old(era)

    async def hear(message: object) -> None:
        if notifications is not None:
            notifications.append(message)

    async with Client(stdio_client(server), mode=era, message_handler=hear) as sdk:
        client = ToolClient(sdk)
        session = (await client.ok("create_session", prompt="sandbox:quick"))["session_id"]
        async with watching(client, ears, era, uri, f"devin://sessions/{session}"):
            await client.ok("update_playbook", playbook_id="playbook-0001", title="New")
            await ears.hears("resources", "prompts", uri)
            await ears.hears(
                f"devin://sessions/{session}", within=9
            )  # delivered after two seconds, seen at the next look


@pytest.mark.parametrize("unbuffered", ["", "1"])
async def test_every_byte_on_stdout_is_protocol(unbuffered: str) -> None:
    async with running("--sandbox", "--log-level", "debug", PYTHONUNBUFFERED=unbuffered) as server:
        await server.open()
        for number, (name, arguments) in enumerate(
            [
                ("devin_list_sessions", {}),
                ("devin_get_session", {"session_id": "../x"}),
                ("devin_get_session", {"session_id": "devin-no"}),
                ("nope", {}),
                ("devin_create_session", {"prompt": "sandbox:quota"}),
            ],
            1,
        ):
            server.send(
                id=number, method="tools/call", params={"name": name, "arguments": arguments}
            )
            assert (await server.line())["id"] == number
        server.send_raw(b"this is no json\n\n")
        server.send(id=99, method="no/such/method")
        while (await server.line()).get("id") != 99:
            pass
        assert await server.end() == 0
    for line in server.stdout.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    for line in server.stderr.splitlines():
        assert json.loads(line)["event"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX only")
@pytest.mark.parametrize("ending", ["eof", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "call in flight"])
async def test_it_ends_with_status_0_and_cleans_up(
    upstream: Upstream, ending: str, busy: bool
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", "/v1/sessions", slow(gate))
    async with running(
        "--log-format", "json", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url
    ) as server:
        await server.open()
        if busy:
            server.send(
                id=1,
                method="tools/call",
                params={"name": "devin_create_session", "arguments": {"prompt": "p"}},
            )
            await upstream.arrived.wait()
            asyncio.get_running_loop().call_later(0.3, gate.set)
        if ending != "eof":
            server.process.send_signal(getattr(signal, ending))
        assert await server.end(close=ending == "eof") == 0
    if busy:  # the create was on the wire: it was awaited, and its session is in the log
        events = [json.loads(line) for line in server.stderr.splitlines()]
        (late,) = [event for event in events if event["event"] == "late_reply"]
        assert late["session_id"] in upstream.organization.sessions
        assert [event["outcome"] for event in events if event["event"] == "mcp_call"] == [
            "cancelled"
        ]
    assert b"Traceback" not in server.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX only")
async def test_a_second_signal_does_not_cut_off_what_the_first_left_time_for(
    upstream: Upstream,
) -> None:
    gate = asyncio.Event()
    upstream.fail("POST", "/v1/sessions", slow(gate))
    async with running(
        "--log-format", "json", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url
    ) as server:
        await server.open()
        server.send(
            id=1,
            method="tools/call",
            params={"name": "devin_create_session", "arguments": {"prompt": "p"}},
        )
        await upstream.arrived.wait()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(0.2, gate.set)
        assert await server.end(close=False) == 0
    assert b"late_reply" in server.stderr


async def test_half_an_emoji_in_a_request_is_answered() -> None:
    async with running("--sandbox") as server:
        await server.open()
        made = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"devin_create_session","arguments":{"prompt":"hi \\ud83d"}}}\n'
        server.send_raw(made)
        assert (await server.line())["result"]["isError"] is False
        assert await server.end() == 0


async def test_a_host_that_reads_no_more_is_no_crash() -> None:
    async with running("--sandbox", "--log-format", "json") as server:
        await server.open()
        server.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        server.send(id=1, method="tools/list")
        await asyncio.sleep(0.3)
        server.send(id=2, method="tools/list")
        assert await server.end() == 0
    assert b"Traceback" not in server.stderr


async def test_the_server_starts_without_a_key_and_says_where_one_comes_from() -> None:
    async with running() as server:
        await server.open()
        server.send(id=1, method="tools/list")
        assert len((await server.line())["result"]["tools"]) == 22
        server.send(
            id=2, method="tools/call", params={"name": "devin_list_sessions", "arguments": {}}
        )
        result = (await server.line())["result"]
        assert result["isError"] is True
        assert "DEVIN_API_KEY" in result["content"][0]["text"]
        assert await server.end() == 0


async def test_the_sandbox_ignores_the_real_key_and_address() -> None:
    async with running(
        "--sandbox",
        "--log-level",
        "debug",
        DEVIN_API_KEY="apk_real_key_1234",
        DEVIN_BASE_URL="http://127.0.0.1:1",
    ) as server:
        await server.open()
        server.send(
            id=1, method="tools/call", params={"name": "devin_list_sessions", "arguments": {}}
        )
        assert (await server.line())["result"]["isError"] is False
        assert await server.end() == 0
    assert b"apk_real" not in server.stderr + server.stdout


def test_garbage_is_collected_while_it_serves() -> None:
    """The command line turns that off for as long as it loads."""
    served = "import gc; from devin_mcp.cli.main import main; print(main(['--sandbox']), gc.isenabled(), gc.get_freeze_count() > 0)"
    done = run(
        [sys.executable, "-c", served],
        input="",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=30,
        check=False,
    )
    assert done.stdout == "0 True True\n", done.stderr
