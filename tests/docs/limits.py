"""The table of limits in docs/operating.md."""

from __future__ import annotations

from devin_mcp.api import connections, memory, paging, response_body
from devin_mcp.asgi_server import KEEP_ALIVE_SECONDS
from devin_mcp.operations import cache, idempotency, results
from devin_mcp.operations.sessions import conversation_cache
from devin_mcp.operations.waiting import pollers
from devin_mcp.server.http import limits
from devin_mcp.settings import CALL_DEADLINE_SECONDS, SETTINGS
from tests.docs.pages import table


def limits_table() -> str:
    default = {setting.name: setting.default for setting in SETTINGS}
    rows = [
        (
            "calls of one caller at once, per process",
            f"`--max-calls-per-caller` ({default['max_calls_per_caller']})",
            "429, `Retry-After: 1`",
        ),
        (
            "calls of one caller within a minute, with `--redis-url` in all replicas",
            "`--max-calls-per-minute` (no limit)",
            "429, `Retry-After` until the minute is over",
        ),
        (
            "listen streams of one caller, per process",
            f"{limits.MAX_STREAMS_PER_CALLER}",
            "429, `Retry-After: 60`",
        ),
        ("listen streams, per process", f"{limits.MAX_STREAMS}", "503"),
        (
            "request body",
            f"{limits.MAX_BODY_BYTES >> 20} MiB, {limits.MAX_BODY_VALUES:,} JSON values",
            "413",
        ),
        ("time to receive a request body", f"{limits.BODY_TIMEOUT:g} s", "408"),
        (
            "memory that all calls hold until they have ended, per process",
            f"{limits.MAX_CALLS_BYTES >> 20} MiB; large calls {memory.LARGE_SHARE:.0%} of it",
            "503, `Retry-After: 1`",
        ),
        (
            "memory that all listen streams hold, per process",
            f"{limits.MAX_STREAMS_BYTES >> 20} MiB",
            "503, `Retry-After: 1`",
        ),
        (
            "messages of sessions that are polled, per process",
            (
                f"{pollers.MAX_POLLED_BYTES >> 20} MiB; "
                f"{pollers.MAX_POLLED_BYTES_PER_TENANT >> 20} MiB of a key"
            ),
            "the session is not followed",
        ),
        (
            "cached lists, per process",
            (
                f"{cache.MAX_BYTES >> 20} MiB; {cache.MAX_BYTES_PER_CALLERS_KEY >> 20} MiB of a "
                "caller's own key"
            ),
            "the least recently used are dropped",
        ),
        (
            "messages that were read before, per process",
            (
                f"{conversation_cache.MAX_BYTES >> 20} MiB; "
                f"{conversation_cache.MAX_BYTES_PER_TENANT >> 20} MiB of a key"
            ),
            "the least recently used are dropped",
        ),
        ("request line and headers", f"{limits.MAX_HEAD_BYTES >> 10} KiB", "400"),
        ("idle connection", f"{KEEP_ALIVE_SECONDS} s", "closed"),
        (
            "requests to Devin at once, per process",
            f"`--max-upstream-requests` ({default['max_upstream_requests']})",
            f"they queue, within the call's {CALL_DEADLINE_SECONDS:g} s; keys take turns",
        ),
        (
            "idle connections to Devin of a caller's own key",
            f"{connections.MAX_IDLE_CONNECTIONS} for {connections.KEEP_ALIVE_SECONDS:g} s",
            "closed; at once when Devin refuses the key",
        ),
        (
            "answer of Devin",
            (
                f"{response_body.MAX_RESPONSE_BYTES >> 20} MiB, "
                f"{response_body.MAX_RESPONSE_VALUES:,} JSON values, "
                f"{response_body.MAX_RESPONSE_OBJECTS:,} objects"
            ),
            "an error; it is not read to its end",
        ),
        ("rows of a list that are read", f"{paging.MAX_ROWS:,}", "an error, or a cursor"),
        ("rows of one page of a tool", f"{results.MAX_PAGE_ROWS:,}", "`next_cursor`"),
        (
            "delegations of a key that run, or whose outcome is unknown",
            f"{idempotency.MAX_STARTS_PER_TENANT}",
            "an error; nothing is started",
        ),
        (
            "sessions polled per key, for calls and subscriptions",
            f"{pollers.MAX_POLLERS_PER_KEY}",
            "a call reports it; for a subscription, `too_many_watches` in the log",
        ),
        (
            "of these, polled only for subscriptions",
            f"{pollers.MAX_WATCHED_PER_KEY}",
            "`too_many_watches`",
        ),
    ]
    return table(("limit", "value", "when exceeded"), rows)
