"""Tables and examples in the documentation that are generated from the code.

`UPDATE_DOCS=1 pytest tests/docs` writes them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from devin_mcp.api import connections, memory, paging, response_body
from devin_mcp.asgi_server import KEEP_ALIVE_SECONDS
from devin_mcp.cli.client_configs import CLIENTS, PUBLISHED
from devin_mcp.cli.tools import effect_of
from devin_mcp.observability.log import observers
from devin_mcp.observability.metrics import Metrics
from devin_mcp.operations import OPERATIONS, cache, idempotency, results
from devin_mcp.operations.browsing import PROMPTS, RESOURCES
from devin_mcp.operations.playbooks import tools as playbooks
from devin_mcp.operations.sessions import conversation_cache
from devin_mcp.operations.waiting import pollers
from devin_mcp.server.http import limits
from devin_mcp.server.tools import published_tools
from devin_mcp.settings import CALL_DEADLINE_SECONDS, SETTINGS
from tests.conventions.test_contract import LEFT_OUT
from tests.conventions.test_schemas import FULL
from tests.docs.pages import (
    CONTRIBUTING,
    MIGRATING,
    OPERATING,
    README,
    RESOURCES_AND_PROMPTS,
    SECURITY,
    SETTINGS_PAGE,
    assert_part_matches,
    table,
)

COMMAND = " ".join((PUBLISHED.command, *PUBLISHED.args, "config"))
PRINT_ONLY = {"json", "zed"}
"""`json` is for clients without a known file; Zed's file contains comments and is edited by hand.
"""


def clients_table() -> str:
    rows = []
    for name, client in CLIENTS.items():
        if name in PRINT_ONLY:
            command = f"`{COMMAND} {name}` prints the entry to paste"
        else:
            place = ", in your project's directory" if client.is_project_file else ""
            command = f"`{COMMAND} {name} --write`{place}"
        rows.append((client.title, command))
    return table(("client", "after the release"), rows)


def install_links() -> str:
    links = [
        f"[{title}]({link(PUBLISHED)})"
        for client in CLIENTS.values()
        for title, link in client.links.items()
    ]
    return f"- **One click:** {', '.join(links)}"


def client_keys_table() -> str:
    titles: dict[str, list[str]] = {}
    for client in CLIENTS.values():
        titles.setdefault(client.key_hint(PUBLISHED), []).append(client.title)
    rows = [(", ".join(names), advice) for advice, names in titles.items()]
    return table(("client", "how it gets the key"), rows)


def tools_table() -> str:
    rows = []
    for operation, tool in zip(FULL["v1"].operations, published_tools(FULL["v1"]), strict=True):
        summary = re.split(r"(?<=\.)\s", tool["description"])[0]
        rows.append((f"`{tool['name']}`", effect_of(operation), summary))
    return table(("tool", "effect", "description"), rows)


def settings_table(*, http: bool) -> str:
    rows = []
    for setting in SETTINGS:
        if http is not (not {"stdio", "tools"} & set(setting.commands)):
            continue
        value = "" if setting.is_switch else f" {setting.metavar}"
        rows.append(
            (
                "" if setting.flag is None else f"`{setting.flag}{value}`",
                f"`{setting.env}`",
                "" if setting.default in (None, "", (), False) else f"`{setting.default}`",
                f"{setting.help}{'; can be repeated' if setting.is_list and setting.flag else ''}",
            )
        )
    return table(("flag", "variable", "default", "meaning"), rows)


def resources_table() -> str:
    rows = [
        (
            f"`{resource.uri}`",
            summary_of(resource.read),
            f"`{resource.tool.tool_name}`" if resource.tool else "",
        )
        for resource in RESOURCES
    ]
    return table(("resource", "content", "tool"), rows)


def prompts_table() -> str:
    rows = [
        (
            f"`/{prompt.name}`"
            if prompt.variants is None
            else "one for each playbook, for example `/upgrade`",
            summary_of(prompt.render),
        )
        for prompt in PROMPTS
    ]
    return table(("prompt", "purpose"), rows)


def summary_of(function: Any) -> str:
    return inspect.cleandoc(function.__doc__ or "").split("\n")[0]


def limits_table() -> str:
    default = {setting.name: setting.default for setting in SETTINGS}
    rows = [
        (
            "calls of one caller at once, per process",
            f"`--max-calls-per-caller` ({default['max_calls_per_caller']})",
            "429, `Retry-After: 1`",
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


def metrics_table() -> str:
    """Labels come from samples, so one event of each kind is recorded."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    observers.remove(metrics)
    call = {"method": "tools/call", "operation": "x", "outcome": "ok", "duration_ms": 1}
    metrics("call_began", call)
    metrics("mcp_call", call)
    metrics("api_request", {"route": "x", "status": 200, "duration_ms": 1})
    metrics("http_rejected", {"reason": "x"})
    rows = []
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert family.samples, f"no event above counts for {name}"
        label_list = ", ".join(f"`{label}`" for label in sorted(labels))
        rows.append((f"`{name}`", family.type, label_list, family.documentation))
    return table(("metric", "type", "labels", "meaning"), rows)


def left_out_table() -> str:
    return table(("field", "why"), [(f"`{name}`", why) for name, why in LEFT_OUT.items()])


def permissions_table() -> str:
    """Without the workflows, which use other operations."""
    tools: dict[str, list[str]] = {}
    for operation in OPERATIONS:
        if operation.v3 is not None:
            tools.setdefault(operation.v3.permission, []).append(f"`{operation.tool_name}`")
    return table(
        ("permission", "tools"),
        [(permission, ", ".join(names)) for permission, names in tools.items()],
    )


def example_operation() -> str:
    """The declaration of an operation up to the end of its docstring."""
    source = inspect.getsource(playbooks)
    end = source.index('"""\n', source.index("async def get_playbook(")) + len('"""\n')
    start = source.rindex("\n@operation(", 0, end) + 1
    return f"```python\n{source[start:end]}```"


PARTS: dict[str, tuple[Path, Callable[[], str]]] = {
    "clients": (README, clients_table),
    "install-links": (README, install_links),
    "client-keys": (README, client_keys_table),
    "tools": (README, tools_table),
    "settings": (SETTINGS_PAGE, partial(settings_table, http=False)),
    "settings-http": (SETTINGS_PAGE, partial(settings_table, http=True)),
    "resources": (RESOURCES_AND_PROMPTS, resources_table),
    "prompts": (RESOURCES_AND_PROMPTS, prompts_table),
    "limits": (OPERATING, limits_table),
    "left-out": (MIGRATING, left_out_table),
    "permissions": (SECURITY, permissions_table),
    "metrics": (OPERATING, metrics_table),
    "example-operation": (CONTRIBUTING, example_operation),
}


@pytest.mark.parametrize("name", PARTS)
def test_generated_part_matches_the_code(name: str) -> None:
    file, generate = PARTS[name]
    assert_part_matches(file, name, generate())
