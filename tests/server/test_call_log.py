"""The log of calls."""

from __future__ import annotations

import io

import pytest
from mcp.types import TextContent

from devin_mcp.api.models import Acknowledgement
from devin_mcp.observability import log, log_config
from devin_mcp.operations.catalog import READ, Operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.playbooks.tools import delete_playbook, list_playbooks
from devin_mcp.operations.sessions.tools import SessionEnded
from devin_mcp.settings.toolsets import SESSIONS
from tests.conftest import settings_for
from tests.operation_server import serve_operations
from tests.upstream import Upstream, answer


def test_console_log_escapes_terminal_control_sequences() -> None:
    stream = io.StringIO()
    log_config.configure("info", "console", stream)
    log.event("mcp_call", devin_session_id="\x1b]0;pwned\x07devin-x")
    log_config.configure("error", "json", io.StringIO())
    assert "pwned" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()


@pytest.mark.parametrize(
    ("effect", "says"),
    [
        ("none", "Nothing was changed."),
        ("read", "Nothing was changed."),
        ("write", "Whether anything was changed is unknown"),
    ],
)
async def test_crash_says_whether_anything_may_have_been_changed(
    upstream: Upstream, effect: str, says: str
) -> None:
    async def explode(ctx: Context) -> SessionEnded:
        """Sends a request, and fails."""
        if effect == "read":
            await ctx.send(list_playbooks, Acknowledgement)
        if effect == "write":
            await ctx.send(delete_playbook, Acknowledgement, playbook_id="p")
        raise RuntimeError("late")

    upstream.fail_operation("delete_playbook", answer(200, {}))
    operation = Operation(explode, READ, SESSIONS)
    async with serve_operations(settings_for(upstream), operation) as client:
        result = await client.call_tool("devin_explode", {})
    assert isinstance(result.content[0], TextContent)
    assert f"this is a bug in it. {says}" in result.content[0].text
