"""One `mcp_call` event for every request that may reach Devin, whatever its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from pydantic import ValidationError

from devin_mcp.errors import Broken, Declined, DevinError, ReplyLost
from devin_mcp.observability.log import CallRecord, add_call_facts, begin_call, current_call, event
from devin_mcp.server.context import Asked, caller_of

LOGGED = frozenset(
    {
        "tools/call",
        "resources/list",
        "resources/read",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "subscriptions/listen",
    }
)
"""A watch is logged by its poller."""


async def log_calls(ctx: Asked, call_next: CallNext) -> HandlerResult:
    """Middleware: gives the call its id, which its `api_request` events share, and logs it at its end."""
    if ctx.method not in LOGGED:
        return await call_next(ctx)
    record = begin_call(ctx.method, caller_of(ctx).identity.name)
    token = current_call.set(record)
    started = time.perf_counter()
    outcome = "crashed"
    try:
        result = await call_next(ctx)
        failed = isinstance(result, Mapping) and result.get("isError") is True
        outcome = "tool_error" if failed else "ok"
        if failed and "tool" not in record.facts:
            add_call_facts(
                outcome="refused", error="unknown_tool"
            )  # its name is the caller's text, so it is not written
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    except MCPError:
        outcome = "refused"
        raise
    except ValidationError:  # the SDK answers with an error of the protocol
        outcome = "refused"
        add_call_facts(error="malformed")
        raise
    finally:
        facts = {"outcome": outcome} | record.facts
        _log_call(ctx, record, facts, time.perf_counter() - started)
        current_call.reset(token)
    return result


def named(problem: Exception) -> DevinError:
    """What went wrong as an answer somebody can act on, and as the outcome of this call in the log."""
    record = current_call.get()
    if isinstance(problem, DevinError):
        asked = (
            problem.status is not None
            or isinstance(problem, ReplyLost)
            or (record is not None and record.attempts > 0)
        )
        outcome = (
            "declined" if isinstance(problem, Declined) else "tool_error" if asked else "refused"
        )
        add_call_facts(outcome=outcome, error=None if outcome == "declined" else problem.kind)
        return problem
    add_call_facts(outcome="crashed", error=type(problem).__name__)
    event("crash", level="error", call_id=record.call_id if record else None, exc_info=problem)
    return Broken(
        "devin-mcp failed on its own side; this is a bug in it.",
        "Whether anything was changed is unknown: look before trying again.",
    )


def _log_call(
    ctx: ServerRequestContext[Any, Any], record: CallRecord, facts: dict[str, Any], took: float
) -> None:
    line: dict[str, Any] = {
        "call_id": record.call_id,
        "method": ctx.method,
        **facts,
        "duration_ms": round(took * 1000, 1),
        "attempts": record.attempts,
        "status": record.status,
        "bytes_out": record.bytes_out,
        "bytes_in": record.bytes_in,
        "client": _client_name(ctx),
        "protocol": ctx.protocol_version,
    }
    event("mcp_call", level="warning" if facts["outcome"] != "ok" else "info", **line)


def _client_name(ctx: ServerRequestContext[Any, Any]) -> str | None:
    params = ctx.session.client_params
    return (
        params.client_info.name[:60]
        if params is not None and params.client_info is not None
        else None
    )
