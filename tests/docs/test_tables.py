"""Documentation that cannot go stale: the README's tables and words are compared with the code."""

from __future__ import annotations

import inspect
import os
import re
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry

from devin_mcp import __version__
from devin_mcp.asgi_server import KEEP_ALIVE_SECONDS
from devin_mcp.cli.client_configs import CLIENTS, PUBLISHED
from devin_mcp.cli.tools import effect_of, published_tools
from devin_mcp.keys import API_BY_PREFIX, PERSONAL_V1_PREFIX
from devin_mcp.observability.log import observers
from devin_mcp.observability.metrics import Metrics
from devin_mcp.operations.matching import PROMPTS, RESOURCES
from devin_mcp.operations.sessions.model import Phase
from devin_mcp.operations.waiting import cursor as cursors
from devin_mcp.operations.waiting import pollers as follow
from devin_mcp.sandbox import downloads, scripts, service
from devin_mcp.server.http import limits
from devin_mcp.settings.settings import SETTINGS
from tests.conventions.test_schemas import FULL

README = Path(__file__).parents[2] / "README.md"
OPERATING = README.parent / "docs" / "operating.md"


def tools_table() -> str:
    lines = ["| tool | effect | answers with |", "|---|---|---|"]
    for operation, tool in zip(FULL.operations, published_tools(FULL), strict=True):
        first = re.split(r"(?<=\.)\s", tool["description"])[0]
        lines.append(f"| `{tool['name']}` | {effect_of(operation)} | {first} |")
    return "\n".join(lines)


def settings_table(*, http: bool = False) -> str:
    lines = ["| flag | variable | default | meaning |", "|---|---|---|---|"]
    for setting in SETTINGS:
        if http is not (not {"stdio", "tools"} & set(setting.commands)):
            continue
        flag = (
            ""
            if setting.flag is None
            else f"`{setting.flag}`"
            if setting.is_switch
            else f"`{setting.flag} {setting.metavar}`"
        )
        default = "" if setting.default in (None, "", (), False) else f"`{setting.default}`"
        again = "; can be repeated" if setting.many and setting.flag else ""
        lines.append(f"| {flag} | `{setting.env}` | {default} | {setting.help}{again} |")
    return "\n".join(lines)


def resources_table() -> str:
    lines = ["| resource | what it is | tool |", "|---|---|---|"]
    lines += [
        f"| `{one.uri}` | {first_of(one.read)} | `{one.tool.tool_name}` |" for one in RESOURCES
    ]
    return "\n".join(lines)


def prompts_table() -> str:
    lines = ["| prompt | what it is for |", "|---|---|"]
    for one in PROMPTS:
        name = (
            f"`/{one.name}`" if one.cards is None else "one for each playbook, such as `/upgrade`"
        )
        lines.append(f"| {name} | {first_of(one.say)} |")
    return "\n".join(lines)


def first_of(function: Any) -> str:
    return inspect.cleandoc(function.__doc__ or "").split("\n")[0]


def clients_table() -> str:
    lines = ["| client | in thirty seconds | the key |", "|---|---|---|"]
    command = " ".join((PUBLISHED.command, *PUBLISHED.args, "config"))
    for name, one in CLIENTS.items():
        links = "".join(
            f"[install in {title}]({link(PUBLISHED)}), " for title, link in one.links.items()
        )
        if name in {"json", "zed"}:  # Zed's file comes with comments, and is edited by hand
            how = f"`{command} {name}` prints it"
        else:
            where = ", in the project" if one.is_project_file else ""
            how = f"{links}{'or ' if links else ''}`{command} {name} --write`{where}"
        lines.append(f"| {one.title} | {how} | {one.key_hint(PUBLISHED)} |")
    return "\n".join(lines)


TABLES = {
    "clients": (README, clients_table),
    "tools": (README, tools_table),
    "settings": (README, settings_table),
    "settings-http": (OPERATING, partial(settings_table, http=True)),
    "resources": (README, resources_table),
    "prompts": (README, prompts_table),
}


@pytest.mark.parametrize(
    ("name", "file", "table"), [(name, *one) for name, one in TABLES.items()], ids=TABLES
)
def test_the_tables_say_what_the_code_does(name: str, file: Path, table: Any) -> None:
    """`UPDATE_DOCS=1` writes them."""
    text = file.read_text()
    found = re.search(rf"(<!-- {name}: [^\n]*-->\n)(.*?)(<!-- /{name} -->)", text, re.DOTALL)
    assert found is not None
    if os.environ.get("UPDATE_DOCS"):
        file.write_text(text.replace(found[0], f"{found[1]}{table()}\n{found[3]}"))
        return
    assert found[2] == table() + "\n"


def test_every_metric_is_documented_and_no_other() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    observers.pop()
    made = {
        name
        for family in registry.collect()
        for name in [f"{family.name}_total" if family.type == "counter" else family.name]
    }
    assert set(re.findall(r"devin_mcp_[a-z_]+", OPERATING.read_text())) == made


def test_the_limits_in_the_documentation_are_those_of_the_code() -> None:
    text = OPERATING.read_text()
    default = next(one.default for one in SETTINGS if one.name == "max_calls_per_caller")
    for row in (
        f"`--max-calls-per-caller` ({default})",
        f"| {limits.MAX_STREAMS_PER_CALLER} | 429",
        f"{limits.MAX_BODY_BYTES >> 20} MiB, within {limits.BODY_TIMEOUT:g} s",
        f"{limits.MAX_HEAD_BYTES >> 10} KiB",
        f"| idle connections | {KEEP_ALIVE_SECONDS} s",
        f"{follow.MOST}, of which watched {follow.MOST_WATCHED}",
    ):
        assert row in text, row


@pytest.mark.parametrize("mode", ["none", "caller-key", "token", "oauth"])
def test_every_mode_has_its_threat_model(mode: str) -> None:
    assert f"\n| `{mode}` |" in (README.parent / "SECURITY.md").read_text()
    assert f"{mode} = " in next(one.help for one in SETTINGS if one.name == "auth")


def test_links_between_the_documents_lead_somewhere() -> None:
    for file in [
        file
        for folder in ("", "docs/", "manifests/**/")
        for file in README.parent.glob(f"{folder}*.md")
    ]:
        for target, anchor in re.findall(
            r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", file.read_text()
        ):
            there = file.parent / target if target else file
            assert there.exists(), f"{file.name} links to {target}"
            if anchor:
                heads = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
                assert anchor in {
                    re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads
                }, anchor


def test_what_the_documents_say_in_numbers_and_names_is_so() -> None:
    text = README.read_text()
    phases = re.search(r"\| phase \|.*?\n\n", text, re.DOTALL)
    assert phases is not None
    assert tuple(re.findall(r"^\| `([a-z]+)` \|", phases[0], re.MULTILINE)) == get_args(Phase)
    assert (
        f"within {next(one.default for one in SETTINGS if one.name == 'result_limit'):,} characters"
        in text
    )
    assert f"one of up to {cursors.MOST} sessions" in text
    assert set(re.findall(r"^\| [^|]+ key \| `(\w+)`", text, re.MULTILINE)) == {PERSONAL_V1_PREFIX, *API_BY_PREFIX}
    assert f"devin-mcp@{__version__}" in (README.parent / "SECURITY.md").read_text()


def test_every_word_of_the_sandbox_is_documented() -> None:
    text = (README.parent / "docs" / "sandbox.md").read_text()
    words = set(re.findall(r"^\| `sandbox:([\w-]+)` \| [a-z]", text, re.MULTILINE))
    assert {*scripts.SCRIPTS, *scripts.CREATION_ERRORS} <= words


def test_the_two_lines_are_where_a_newcomer_and_the_gate_look() -> None:
    lines = [
        line
        for line in README.read_text().splitlines()
        if line.startswith("python3 -m venv .venv && ")
    ]
    assert len(lines) == 2
    assert lines[0].endswith("devin-mcp demo")
    assert "pytest" in lines[1]


def test_the_readme_says_that_nothing_is_released_as_long_as_that_is_so() -> None:
    (latest,) = re.findall(
        r"^## (.+)$", (README.parent / "CHANGELOG.md").read_text(), re.MULTILINE
    )[:1]
    assert latest.startswith(__version__)
    assert ("Not released yet" in README.read_text()) == ("unreleased" in latest)


def test_the_code_in_the_recipe_is_the_code() -> None:
    code = "\n".join(
        file.read_text() for file in (README.parent / "devin_mcp" / "operations").glob("*.py")
    )
    blocks = [
        block
        for name in ("CONTRIBUTING.md", "docs/writing-an-operation.md")
        for block in re.findall(
            r"```python\n(.*?)```", (README.parent / name).read_text(), re.DOTALL
        )
    ]
    assert len(blocks) >= 5
    for block in blocks:
        assert block in code, block


def test_what_the_sandboxs_page_says_in_numbers_is_so() -> None:
    text = (README.parent / "docs" / "sandbox.md").read_text()
    assert f"At most {service.MAX_PARALLEL_SESSIONS} sessions" in text
    assert f"good for {downloads.LINK_TTL_SECONDS} seconds" in text
    assert (scripts.STARTING_SECONDS, scripts.INITIALIZING_SECONDS) == (0.5, 1.0)
    assert "no status for its first half second" in text
    assert "takes no message in its first second" in text
