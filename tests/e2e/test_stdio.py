"""`devin-mcp` as a process over stdio: a clean stdout, both eras, and a clean shutdown."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from subprocess import run

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import INVALID_PARAMS

from tests.conftest import Era, ToolClient
from tests.declared import declared_tools
from tests.e2e.processes import COMMAND, environment, start_process
from tests.notification_recorder import NotificationRecorder, subscribe
from tests.upstream import KEY, Upstream, delay_reply

SANDBOX = StdioServerParameters(
    command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"], env=environment()
)
CREATE = {"name": "devin_create_session", "arguments": {"prompt": "p"}}
LIST = {"name": "devin_list_sessions", "arguments": {}}


async def test_client_of_either_era_creates_a_session(era: Era) -> None:
    async with Client(stdio_client(SANDBOX), mode=era) as client:
        assert client.instructions is not None
        assert "SANDBOX" in client.instructions
        listed = {tool.name for tool in (await client.list_tools()).tools}
        assert listed == declared_tools(api="v3")
        session = await ToolClient(client).ok("create_session", prompt="sandbox:quick")
        assert session["url"].startswith("https://sandbox.invalid/")


async def test_client_of_either_era_is_notified_of_changes() -> None:
    """Of a write made by itself, and of a session that changes on its own after two seconds."""
    versions = await asyncio.gather(receive_updates("auto"), receive_updates("legacy"))
    assert list(versions) == ["2026-07-28", "2025-11-25"]


async def receive_updates(era: Era) -> str | None:
    """Expect the notifications of both changes; returns the protocol version."""
    recorder, uri = NotificationRecorder(), "devin://playbooks/playbook-0001"
    notifications = recorder.legacy_events(era)

    async def on_message(message: object) -> None:
        if notifications is not None:
            notifications.append(message)

    async with Client(stdio_client(SANDBOX), mode=era, message_handler=on_message) as sdk:
        client = ToolClient(sdk)
        session = (await client.ok("create_session", prompt="sandbox:quick"))["session_id"]
        async with subscribe(client, recorder, era, uri, f"devin://sessions/{session}"):
            await client.ok("update_playbook", playbook_id="playbook-0001", title="New")
            await recorder.expect("resources", "prompts", uri)
            await recorder.expect(f"devin://sessions/{session}", within=9)
        return sdk.protocol_version


@pytest.mark.parametrize("unbuffered", ["", "1"])
async def test_stdout_has_protocol_messages_only(unbuffered: str) -> None:
    calls: list[tuple[str, dict[str, str]]] = [
        ("devin_list_sessions", {}),
        ("devin_get_session", {"session_id": "../x"}),
        ("devin_get_session", {"session_id": "devin-no"}),
        ("nope", {}),
        ("devin_create_session", {"prompt": "sandbox:quota"}),
    ]
    async with start_process(
        "--sandbox", "--log-level", "debug", PYTHONUNBUFFERED=unbuffered
    ) as server:
        await server.initialize()
        for number, (name, arguments) in enumerate(calls, 1):
            call = {"name": name, "arguments": arguments}
            server.send(id=number, method="tools/call", params=call)
            assert (await server.read_message())["id"] == number
        server.send_raw(b"this is no json\n\n")
        server.send(id=99, method="no/such/method")
        while (await server.read_message()).get("id") != 99:
            pass
        assert await server.wait_for_exit() == 0
    for line in server.stdout.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    for line in server.stderr.splitlines():
        assert json.loads(line)["event"]


async def test_malformed_call_is_answered_and_logged_as_refused() -> None:
    malformed: list[dict[str, object]] = [
        {"name": 5},
        {"name": "devin_list_sessions", "arguments": [1]},
    ]
    async with start_process("--sandbox", "--log-format", "json") as server:
        await server.initialize()
        for number, params in enumerate(malformed, 1):
            server.send(id=number, method="tools/call", params=params)
            assert (await server.read_message())["error"]["code"] == INVALID_PARAMS
            assert (await server.wait_for_log("mcp_call"))["outcome"] == "refused"
        await server.wait_for_exit()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX only")
@pytest.mark.parametrize("ending", ["eof", "SIGTERM", "SIGINT"])
async def test_idle_server_exits_with_status_0(ending: str) -> None:
    async with start_process("--sandbox", "--log-format", "json") as server:
        await server.initialize()
        if ending != "eof":
            server.process.send_signal(getattr(signal, ending))
        assert await server.wait_for_exit(close=ending == "eof") == 0
    assert b"Traceback" not in server.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX only")
@pytest.mark.parametrize(
    ("ending", "second"), [("eof", ""), ("SIGTERM", ""), ("SIGINT", ""), ("SIGTERM", "SIGTERM")]
)
async def test_server_waits_for_a_create_on_the_wire_before_it_exits(
    upstream: Upstream, ending: str, second: str
) -> None:
    """The call is cancelled at once and its session logged; a second signal changes nothing."""
    gate = asyncio.Event()
    upstream.fail("POST", "/v1/sessions", delay_reply(gate))
    async with start_process(
        "--log-format", "json", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url
    ) as server:
        await server.initialize()
        server.send(id=1, method="tools/call", params=CREATE)
        await upstream.wait_for("POST", "/v1/sessions")
        if ending == "eof":
            server.close_stdin()
        else:
            server.process.send_signal(getattr(signal, ending))
        assert (await server.wait_for_log("mcp_call"))["outcome"] == "cancelled"
        if second:
            server.process.send_signal(getattr(signal, second))
        gate.set()
        assert await server.wait_for_exit(close=False) == 0
    events = [json.loads(line) for line in server.stderr.splitlines()]
    (late,) = [event for event in events if event["event"] == "late_reply"]
    assert late["devin_session_id"] in upstream.organization.sessions
    assert sum(event["event"] == "mcp_call" for event in events) == 1
    assert b"Traceback" not in server.stderr


async def test_lone_surrogate_in_a_request_is_answered() -> None:
    """Half an emoji, as a client sends it that cut a text in the middle."""
    call = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"devin_create_session",'
        b'"arguments":{"prompt":"hi \\ud83d"}}}\n'
    )
    async with start_process("--sandbox") as server:
        await server.initialize()
        server.send_raw(call)
        assert (await server.read_message())["result"]["isError"] is False
        assert await server.wait_for_exit() == 0


async def test_host_that_closes_our_stdout_causes_no_crash() -> None:
    async with start_process("--sandbox", "--log-format", "json") as server:
        await server.initialize()
        transport = server.process._transport  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        transport.get_pipe_transport(1).close()
        for number in (1, 2):
            server.send(id=number, method="tools/call", params=LIST)
            if number == 1:
                await server.wait_for_log("mcp_call")
        assert await server.wait_for_exit() == 0
    assert b"Traceback" not in server.stderr


async def test_server_without_a_key_lists_tools_and_says_what_is_missing() -> None:
    async with start_process() as server:
        await server.initialize()
        server.send(id=1, method="tools/list")
        listed = (await server.read_message())["result"]["tools"]
        assert {tool["name"] for tool in listed} == declared_tools()
        server.send(id=2, method="tools/call", params=LIST)
        result = (await server.read_message())["result"]
        assert result["isError"] is True
        assert "DEVIN_API_KEY" in result["content"][0]["text"]
        assert await server.wait_for_exit() == 0


async def test_sandbox_uses_neither_key_nor_address_of_the_environment() -> None:
    async with start_process(
        "--sandbox",
        "--log-level",
        "debug",
        DEVIN_API_KEY="apk_real_key_1234",
        DEVIN_BASE_URL="http://127.0.0.1:1",
    ) as server:
        await server.initialize()
        server.send(id=1, method="tools/call", params=LIST)
        assert (await server.read_message())["result"]["isError"] is False
        assert await server.wait_for_exit() == 0
    assert b"apk_real" not in server.stderr + server.stdout


def test_garbage_collection_is_on_while_the_server_runs() -> None:
    """main() turns it off while it loads."""
    code = (
        "import gc; from devin_mcp.cli.main import main; "
        "print(main(['--sandbox']), gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    process = run(
        [sys.executable, "-c", code],
        input="",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=30,
        check=False,
    )
    assert process.stdout == "0 True True\n", process.stderr
