"""The log: one line per call and per request, and no key, secret, prompt or file in any line."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, TextContent

from devin_mcp.keys import DevinKey
from devin_mcp.observability import log, log_config
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.catalog import READ, Operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.secrets import SessionSecret
from devin_mcp.operations.sessions.tools import SessionEnded
from devin_mcp.server.build import build
from devin_mcp.settings import resolve
from devin_mcp.settings.toolsets import SESSIONS
from tests.clock import AutoClock
from tests.conftest import Connect, Era, Logs, settings_for
from tests.operation_server import serve_operations, server_state
from tests.upstream import Upstream, answer, cut_reply, start_upstream


async def test_every_call_is_one_line_with_tool_outcome_and_error(
    connect: Connect, logs: Logs
) -> None:
    async with connect() as client:
        session = await client.ok("create_session", prompt="p")
        await client.error("get_session", session_id="devin-none")
        await client.error("get_session", session_id="../secrets/x")
        await client.sdk.call_tool("no_such_tool", {"apk_in_a_name": 1})
    calls = [line for line in logs() if line["event"] == "mcp_call"]
    assert [(line.get("tool"), line["outcome"], line.get("error")) for line in calls] == [
        ("devin_create_session", "ok", None),
        ("devin_get_session", "tool_error", "not_found"),
        ("devin_get_session", "refused", "invalid"),
        (None, "refused", "unknown_tool"),
    ]
    first = calls[0]
    assert first["devin_session_id"] == session["session_id"]
    assert (first["effect"], first["operation"], first["method"]) == (
        "create",
        "create_session",
        "tools/call",
    )
    assert first["duration_ms"] > 0
    assert first["bytes_out"] == len('{"prompt": "p"}')
    assert first["protocol"] == "2026-07-28"
    assert list(first)[:3] == ["timestamp", "level", "event"]


async def test_call_is_logged_with_the_ids_that_it_is_about(connect: Connect, logs: Logs) -> None:
    async with connect(toolsets="all") as client:
        playbook = await client.ok("create_playbook", title="t", body="b")
        note = await client.ok("create_knowledge", name="n", body="b", trigger="t")
        await client.ok("delete_knowledge", note_id=note["note_id"])
        (secret, *_) = (await client.ok("list_secrets"))["secrets"]
        await client.ok("delete_secret", secret_id=secret["secret_id"])
    ids = [
        {name: value for name, value in line.items() if name.endswith("_id") and name != "call_id"}
        for line in logs()
        if line["event"] == "mcp_call" and line["effect"] != "read"
    ]
    assert ids == [
        {"playbook_id": playbook["playbook_id"]},
        {"note_id": note["note_id"]},
        {"note_id": note["note_id"]},
        {"secret_id": secret["secret_id"]},
    ]


@pytest.mark.one_api("v3", reason="schedules exist on the Organization API only")
async def test_schedule_is_logged_by_its_id(connect: Connect, logs: Logs) -> None:
    async with connect(toolsets="all") as client:
        weekly = (await client.ok("list_schedules"))["schedules"][0]["schedule_id"]
        await client.ok("update_schedule", schedule_id=weekly, enabled=False)
    assert [line.get("schedule_id") for line in logs() if line["event"] == "mcp_call"] == [
        None,
        weekly,
    ]


async def test_unknown_prompt_is_logged_as_refused(connect: Connect, logs: Logs, era: Era) -> None:
    async with connect(era=era) as client:
        with pytest.raises(MCPError, match="no prompt of that name") as refused:
            await client.sdk.get_prompt("nope")
    assert refused.value.error.code == INVALID_PARAMS
    assert [line["outcome"] for line in logs() if line["event"] == "mcp_call"] == ["refused"]
    assert not [line for line in logs() if line["level"] == "error"]


async def test_download_is_logged_with_its_bytes_when_it_has_ended(
    connect: Connect, upstream: Upstream, logs: Logs
) -> None:
    upstream.fail(
        "GET",
        "/v1/attachments/.*",
        answer(200, b"x" * 60_000, content_type="text/plain"),
        cut_reply,
    )
    async with connect() as client:
        await client("download_attachment", uuid="u", name="t.txt")
        await client.error("download_attachment", uuid="u", name="t.txt")
    requests = [line for line in logs() if line["event"] == "api_request"]
    assert requests[0]["bytes_in"] == 60_000
    assert requests[1]["error"] == "ReadError" or "error" in requests[1]


async def test_crash_is_logged_with_frames_and_without_its_message(logs: Logs) -> None:
    async def explode(ctx: Context) -> SessionEnded:
        """Fails with a message that must not be logged."""
        raise RuntimeError("a prompt, perhaps")

    bomb = Operation(explode, READ, SESSIONS)
    async with serve_operations(resolve({}, {"DEVIN_API_KEY": "apk_x"}), bomb) as client:
        result = await client.call_tool("devin_explode", {})
    assert isinstance(result.content[0], TextContent)
    assert "a bug in it" in result.content[0].text
    assert "perhaps" not in result.content[0].text + json.dumps(logs())
    (crash,) = [line for line in logs() if line["event"] == "crash"]
    assert crash["error"] == "RuntimeError"
    assert any("explode" in frame for frame in crash["frames"])
    assert [line["outcome"] for line in logs() if line["event"] == "mcp_call"] == ["crashed"]


def plant(draw: st.DrawFn, kind: str) -> str:
    """A random value that can be recognised wherever it turns up."""
    letters = "abcdefghijkmnpqrstuvwxyzABCDEFGH23456789"
    return kind + draw(st.text(letters, min_size=12, max_size=24))


@st.composite
def planted(draw: st.DrawFn) -> dict[str, str]:
    return {
        kind: plant(draw, kind) for kind in ("apk_", "Secret", "Prompt", "Body", "File", "Answer")
    }


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    values=planted(),
    status=st.sampled_from([200, 400, 403, 404, 422, 429, 500]),
    style=st.sampled_from(["json", "console"]),
)
def test_no_argument_or_answer_value_is_in_any_line_or_error(
    values: dict[str, str], status: int, style: str
) -> None:
    stream = io.StringIO()
    log_config.configure("debug", style, stream)
    errors = anyio.run(call_every_tool, values, status)
    log_config.configure("error", "json", io.StringIO())
    for value in values.values():
        assert value not in stream.getvalue()
        assert all(value not in text for text in errors)


async def call_every_tool(values: dict[str, str], status: int) -> list[str]:
    """Call every tool with the values in arguments and answers; returns the texts of all errors."""
    secret, prompt, body, file, reply = (
        values[kind] for kind in ("Secret", "Prompt", "Body", "File", "Answer")
    )
    calls: list[tuple[str, dict[str, Any]]] = [
        (
            "create_session",
            {"prompt": prompt, "title": body, "session_secrets": [{"key": "K", "value": secret}]},
        ),
        ("create_session", {"prompt": prompt, "max_acu_limit": secret}),
        (
            "create_session",
            {
                "prompt": [prompt],
                "session_secrets": [{"kee": secret}],
                "structured_output_schema": {"type": body},
            },
        ),
        ("create_session", {"promt": prompt}),
        ("get_session", {"session_id": f"../{secret}"}),
        ("get_session", {"session_id": {"a": secret}}),
        ("send_message", {"session_id": "devin-1", "message": prompt}),
        ("create_secret", {"type": secret, "key": "K", "value": secret}),
        ("create_secret", {"type": "totp", "key": "K", "value": secret, "note": body}),
        ("create_knowledge", {"name": prompt, "body": body, "trigger": prompt}),
        ("create_playbook", {"title": prompt, "body": body}),
        ("upload_attachment", {"content": file, "name": "a.txt"}),
        ("upload_attachment", {"path": f"../{secret}", "name": "a.txt"}),
        ("download_attachment", {"url": f"https://{secret}/x"}),
        ("list_knowledge", {"search": secret}),
    ]
    errors: list[str] = []
    async with start_upstream() as upstream:
        echo = (
            {"detail": f"no: {secret} {prompt} {body} {file} {values['apk_']}"}
            if status >= 400
            else {
                "session_id": "devin-1",
                "title": reply,
                "messages": [{"type": reply, "message": reply}],
                "knowledge": [{"id": reply}],
            }
        )
        for method in ("POST", "GET", "PUT", "DELETE"):
            upstream.fail(method, ".*", *[answer(status, echo)] * 60)
        settings = settings_for(upstream, DEVIN_API_KEY=values["apk_"])
        async with Client(build(settings, "stdio", clock=AutoClock())) as client:
            for tool, arguments in calls:
                result = await client.call_tool(f"devin_{tool}", arguments)
                if result.is_error:
                    errors += [
                        part.text for part in result.content if isinstance(part, TextContent)
                    ]
    assert errors
    return errors


def test_lines_of_other_libraries_lose_their_arguments(logs: Logs) -> None:
    for name, message, args in [
        ("httpx", "HTTP Request: %s %s %d", ("GET", "https://x/?key=apk_abcdefgh", 200)),
        ("mcp.server", "Tool %r failed: %r", ("t", "my prompt")),
        ("mcp.server", "100%% of %(name)s", ({"name": "my prompt"},)),
        ("mcp.server", "plain apk_abcdefgh", ()),
    ]:
        logging.getLogger(name).warning(message, *args)
    try:
        raise ValueError("my prompt")
    except ValueError:
        logging.getLogger("mcp.server").exception("it raised")
    lines = logs()
    assert lines[0]["event"] == "HTTP Request: <...> <...> 200"
    assert lines[-1]["error"] == "ValueError"
    assert lines[-1]["frames"]
    assert "my prompt" not in json.dumps(lines)
    assert "apk_abcdefgh" not in json.dumps(lines)


def test_console_format_is_plain_text_without_colour_codes() -> None:
    stream = io.StringIO()
    log_config.configure("info", "console", stream)
    log.event("mcp_call", tool="devin_list_sessions", outcome="ok")
    log_config.configure("error", "json", io.StringIO())
    assert "mcp_call" in stream.getvalue()
    assert "tool=devin_list_sessions" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


@pytest.mark.parametrize("value", ["apk_user_abc+/=", "cog_xyz123"])
def test_key_and_secret_value_are_in_no_repr(value: str) -> None:
    settings = resolve({}, {"DEVIN_API_KEY": value})
    state = server_state(settings)
    ctx = state.services.context(DevinKey(value))
    secret = SessionSecret(key="K", value=value)
    assert value not in repr([settings, state, ctx, ctx.key, secret])


def test_secret_with_non_ascii_letters_is_redacted_in_escaped_json(logs: Logs) -> None:
    redactor.hide(["pässwörd-123"])
    log.event("odd", said="it is pässwörd-123", more=["pässwörd-123"])
    assert [(line["said"], line["more"]) for line in logs()] == [("it is [hidden]", ["[hidden]"])]


def test_lines_for_a_closed_stream_are_dropped() -> None:
    stream = io.StringIO()
    log_config.configure("info", "json", stream)
    stream.close()
    for _ in range(3):
        log.event("lost")
    later = io.StringIO()
    log_config.configure("info", "json", later)
    log.event("kept")
    log_config.configure("error", "json", io.StringIO())
    assert [json.loads(line)["event"] for line in later.getvalue().splitlines()] == ["kept"]
