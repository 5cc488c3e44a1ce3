"""Logging middleware: identifies the caller of every request, and logs one `mcp_call` event for
each request that may reach Devin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware
from pydantic import ValidationError

from devin_mcp.errors import Broken, Declined, DevinError, ReplyLost
from devin_mcp.observability.log import (
    CallRecord,
    add_call_facts,
    begin_call,
    current_call,
    event,
)
from devin_mcp.server.context import (
    CallerContext,
    RequestContext,
    ServerState,
    caller_of,
    current_caller,
)

LOGGED_METHODS = frozenset(
    {
        "tools/call",
        "resources/list",
        "resources/read",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "subscriptions/listen",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
    }
)
"""A subscription to one resource is logged by its poller."""
MAX_CLIENT_NAME_CHARS = 60
SUBJECT_IDS = {
    "session_id": "devin_session_id",  # MCP has session ids too
    "schedule_id": "schedule_id",
    "note_id": "note_id",
    "playbook_id": "playbook_id",
    "secret_id": "secret_id",
}
"""By argument or field of a result: the field of the log."""


def log_calls(*, shared_state_keys: bool) -> ServerMiddleware[ServerState]:
    """The middleware. `shared_state_keys`: confirmation state is readable by other replicas."""

    async def log_call(ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        caller = caller_of(ctx)
        current_caller.set(caller)
        if ctx.method not in LOGGED_METHODS:
            return await call_next(ctx)
        call = begin_call(ctx.method, _who(caller))
        token = current_call.set(call)
        started_at = time.perf_counter()
        outcome = "crashed"
        try:
            result = await call_next(ctx)
            failed = isinstance(result, Mapping) and result.get("isError") is True
            outcome = "tool_error" if failed else "ok"
            if failed and "tool" not in call.facts:
                # The name of an unknown tool is the caller's text, so it is not logged.
                call.facts.update(outcome="refused", error="unknown_tool")
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except MCPError as error:
            outcome = "refused"
            raise _explain_rejected_state(error, shared=shared_state_keys) from None
        except ValidationError:  # the SDK answers with a protocol error
            outcome = "refused"
            call.facts["error"] = "malformed"
            raise
        finally:
            _log_end(ctx, call, outcome, time.perf_counter() - started_at)
            current_call.reset(token)
        return result

    return log_call


def _who(caller: CallerContext) -> dict[str, str]:
    """Who calls, and whose the key is if Devin has said so before."""
    key, client = caller.identity.key, caller.state.services.client
    owner = client.organizations.known_name(key.fingerprint)
    return caller.identity.who | ({"principal": owner} if owner else {})


def to_devin_error(problem: Exception) -> DevinError:
    """Any exception as an error that can be shown, and as the outcome of this call in the log."""
    call = current_call.get()
    if isinstance(problem, DevinError):
        was_sent = problem.status is not None or isinstance(problem, ReplyLost)
        was_sent = was_sent or (call is not None and call.attempts > 0)
        if isinstance(problem, Declined):
            add_call_facts(outcome="declined", error=None)
        else:
            add_call_facts(outcome="tool_error" if was_sent else "refused", error=problem.kind)
        return problem
    add_call_facts(outcome="crashed", error=type(problem).__name__)
    event("crash", level="error", call_id=call.call_id if call else None, exc_info=problem)
    has_written = call is not None and call.writes > 0
    return Broken(
        "devin-mcp failed on its own side; this is a bug in it.",
        "Whether anything was changed is unknown: look before trying again."
        if has_written
        else "Nothing was changed.",
    )


def _explain_rejected_state(error: MCPError, *, shared: bool) -> MCPError:
    """The SDK's text for confirmation state that it cannot accept does not say what to do."""
    data = error.error.data
    if not isinstance(data, dict) or data.get("reason") != "invalid_request_state":
        return error
    add_call_facts(error="invalid_state")
    text = (
        "This answer to a question is not valid (any more): it is older than ten minutes, belongs "
        "to another call or caller, or was asked by another process. Nothing was changed; call the "
        "tool again without it to be asked anew."
    )
    if not shared:
        text += (
            " For answers that outlive a restart or reach another replica, the server needs "
            "DEVIN_MCP_STATE_KEYS."
        )
    return MCPError(error.error.code, text, data)


def _log_end(ctx: RequestContext, call: CallRecord, outcome: str, seconds: float) -> None:
    facts: dict[str, Any] = {"outcome": outcome} | call.facts
    params = ctx.session.client_params
    client = params.client_info if params is not None else None
    event(
        "mcp_call",
        level="info" if facts["outcome"] in {"ok", "deferred"} else "warning",
        **{"call_id": call.call_id, "method": ctx.method, **facts},
        duration_ms=round(seconds * 1000, 1),
        attempts=call.attempts,
        status=call.status,
        bytes_out=call.bytes_out,
        bytes_in=call.bytes_in,
        client=None if client is None else client.name[:MAX_CLIENT_NAME_CHARS],
        protocol=ctx.protocol_version,
    )


def add_subject_ids(values: Mapping[str, Any]) -> None:
    """Log the ids of what the call is about. `values`: valid arguments, or fields of a result."""
    ids = {field: values.get(name) for name, field in SUBJECT_IDS.items()}
    add_call_facts(**{field: value for field, value in ids.items() if isinstance(value, str)})
