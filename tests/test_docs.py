"""Documentation that cannot go stale: the README's tables and words are compared with the code."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.operations.browse import PROMPTS, RESOURCES
from devin_mcp.sandbox.lives import SCRIPTS
from devin_mcp.server.listing import effect_of, wire_tools
from devin_mcp.settings import KNOBS
from tests.laws.test_schemas import FULL

README = Path(__file__).parent.parent / "README.md"


def tools_table() -> str:
    lines = ["| tool | effect | answers with |", "|---|---|---|"]
    for operation, tool in zip(FULL.operations, wire_tools(FULL), strict=True):
        first = re.split(r"(?<=\.)\s", tool["description"])[0]
        lines.append(f"| `{tool['name']}` | {effect_of(operation)} | {first} |")
    return "\n".join(lines)


def settings_table() -> str:
    lines = ["| flag | variable | default | meaning |", "|---|---|---|---|"]
    for knob in KNOBS:
        flag = "" if knob.flag is None else f"`{knob.flag}`" if knob.is_switch else f"`{knob.flag} {knob.metavar}`"
        default = "" if knob.default in (None, "", (), False) else f"`{knob.default}`"
        only = "" if "stdio" in knob.commands else f" ({', '.join(knob.commands)})"
        again = "; can be repeated" if knob.many and knob.flag else ""
        lines.append(f"| {flag} | `{knob.env}` | {default} | {knob.help}{again}{only} |")
    return "\n".join(lines)


def resources_table() -> str:
    lines = ["| resource | what it is | tool |", "|---|---|---|"]
    lines += [f"| `{one.uri}` | {first_of(one.read)} | `{one.twin.tool_name}` |" for one in RESOURCES]
    return "\n".join(lines)


def prompts_table() -> str:
    lines = ["| prompt | what it is for |", "|---|---|"]
    for one in PROMPTS:
        name = f"`/{one.name}`" if one.cards is None else "one for each playbook, such as `/upgrade`"
        lines.append(f"| {name} | {first_of(one.say)} |")
    return "\n".join(lines)


def first_of(function: Any) -> str:
    return inspect.cleandoc(function.__doc__ or "").split("\n")[0]


TABLES = {"tools": tools_table, "settings": settings_table, "resources": resources_table, "prompts": prompts_table}


@pytest.mark.parametrize(("name", "table"), TABLES.items(), ids=TABLES)
def test_the_tables_say_what_the_code_does(name: str, table: Any) -> None:
    """`UPDATE_DOCS=1` writes them."""
    text = README.read_text()
    found = re.search(rf"(<!-- {name}: [^\n]*-->\n)(.*?)(<!-- /{name} -->)", text, re.DOTALL)
    assert found is not None
    if os.environ.get("UPDATE_DOCS"):
        README.write_text(text.replace(found[0], f"{found[1]}{table()}\n{found[3]}"))
        return
    assert found[2] == table() + "\n"


def test_every_word_of_the_sandbox_is_documented() -> None:
    words = set(re.findall(r"^\| `sandbox:(\w+)` \| [a-z]", README.read_text(), re.MULTILINE))
    assert {*SCRIPTS, "quota", "cap"} <= words


def test_the_two_lines_are_where_a_newcomer_and_the_gate_look() -> None:
    lines = [line for line in README.read_text().splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert len(lines) == 2
    assert lines[0].endswith("devin-mcp demo")
    assert "pytest" in lines[1]
