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

from devin_mcp.cli.client_configs import CLIENTS, PUBLISHED
from devin_mcp.cli.tools import bytes_read, effect_of
from devin_mcp.observability.log import observers
from devin_mcp.observability.metrics import Metrics
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.browsing import PROMPTS, RESOURCES
from devin_mcp.operations.playbooks import tools as playbooks
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings import SETTINGS, resolve
from devin_mcp.settings.toolsets import ALL, TOOLSETS, Toolset
from tests.conventions.test_contract import DONE_BY, LEFT_OUT, operations_without_tool
from tests.conventions.test_schemas import (
    FULL,
    MAX_CATALOGUE_BYTES,
    MAX_INPUT_BYTES,
    MAX_LISTING_BYTES,
    MAX_TOOL_BYTES,
    TOOLS,
)
from tests.docs.limits import limits_table
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
from tests.nginx import CONFIGURATION

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
    tools = TOOLS["v3"] | TOOLS["v1"]
    for operation in visible_tools(resolve({"toolsets": [ALL]}, {}), "stdio").operations:
        summary = re.split(r":|\.\s|\.$", tools[operation.tool_name]["description"])[0]
        marks = [effect_of(operation)]
        marks += [] if "v1" in operation.apis else ["v3"]
        marks += [] if operation.toolset.is_default else ["off"]
        rows.append((f"`{operation.tool_name}`", ", ".join(marks), f"{summary}."))
    return table(("tool", "effect", "description"), rows)


def toolsets_table() -> str:
    """What each toolset costs a model in every conversation, on v3."""
    sizes = dict.fromkeys(TOOLSETS, 0)
    names: dict[Toolset, list[str]] = {toolset: [] for toolset in TOOLSETS}
    for operation in FULL["v3"].operations:
        sizes[operation.toolset] += bytes_read(TOOLS["v3"][operation.tool_name])
        names[operation.toolset].append(operation.operation_id)
    rows = [
        (
            f"`{toolset.name}`",
            "on" if toolset.is_default else "off",
            f"{sizes[toolset]:,}",
            ", ".join(names[toolset]),
        )
        for toolset in TOOLSETS
    ]
    return table(("toolset", "by default", "bytes", "tools, without `devin_`"), rows)


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


def metrics_table() -> str:
    """Labels come from samples, so one event of each kind is recorded."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    observers.remove(metrics)
    call = {"method": "tools/call", "operation": "x", "outcome": "ok", "duration_ms": 1}
    metrics("session_started", {})
    metrics("crash", {})
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


def without_tool_table() -> str:
    rows = [
        (f"`{name}`", f"`{DONE_BY[name]}`" if name in DONE_BY else "")
        for name in operations_without_tool()
    ]
    return table(("operation", "instead"), rows)


def nginx_file() -> str:
    return f"```nginx\n{CONFIGURATION.read_text()}```"


def budget_table() -> str:
    budget = [
        ("names, descriptions and input schemas of the default tools on v1", MAX_INPUT_BYTES["v1"]),
        ("the same on v3", MAX_INPUT_BYTES["v3"]),
        ("of all tools", MAX_CATALOGUE_BYTES),
        ("of one tool", MAX_TOOL_BYTES),
        ("`tools/list`, with output schemas and annotations", MAX_LISTING_BYTES),
    ]
    rows = [(part, f"{limit:,}") for part, limit in budget]
    return table(("bytes of compact JSON", "at most"), rows)


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
    "toolsets": (SETTINGS_PAGE, toolsets_table),
    "settings-http": (SETTINGS_PAGE, partial(settings_table, http=True)),
    "resources": (RESOURCES_AND_PROMPTS, resources_table),
    "prompts": (RESOURCES_AND_PROMPTS, prompts_table),
    "limits": (OPERATING, limits_table),
    "nginx": (OPERATING, nginx_file),
    "left-out": (MIGRATING, left_out_table),
    "without-tool": (MIGRATING, without_tool_table),
    "budget": (CONTRIBUTING, budget_table),
    "permissions": (SECURITY, permissions_table),
    "metrics": (OPERATING, metrics_table),
    "example-operation": (CONTRIBUTING, example_operation),
}


@pytest.mark.parametrize("name", PARTS)
def test_generated_part_matches_the_code(name: str) -> None:
    file, generate = PARTS[name]
    assert_part_matches(file, name, generate())
