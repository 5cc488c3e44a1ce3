"""The log of calls."""

from __future__ import annotations

import io

from devin_mcp.observability import log, log_config


def test_console_log_escapes_terminal_control_sequences() -> None:
    stream = io.StringIO()
    log_config.configure("info", "console", stream)
    log.event("mcp_call", devin_session_id="\x1b]0;pwned\x07devin-x")
    log_config.configure("error", "json", io.StringIO())
    assert "pwned" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()
