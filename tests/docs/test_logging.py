"""docs/logging.md names every event, field and outcome that the package logs."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.conftest import Connect
from tests.docs.pages import LOGGING, ROOT, UPDATE, assert_part_matches, first_column, part, section


async def test_log_example_has_the_fields_of_a_real_call(
    connect: Connect, logs: Callable[[], list[dict[str, Any]]]
) -> None:
    """Values differ in each run, so field names are compared, in order."""
    async with connect() as client:
        await client.ok("create_session", prompt="p")
    events = [line for line in logs() if line["event"] in {"api_request", "mcp_call"}]
    lines = "\n".join(json.dumps(event) for event in events)
    if UPDATE and names_in(part(LOGGING, "log-example")) != names_in(lines):
        assert_part_matches(LOGGING, "log-example", f"```json\n{lines}\n```")
    assert names_in(part(LOGGING, "log-example")) == names_in(lines)
    documented = set(first_column(section(LOGGING, "Fields")))
    assert {name for names in names_in(lines) for name in names} <= documented


def test_every_logged_event_is_documented_and_no_other() -> None:
    documented = set(first_column(section(LOGGING, "Events")))
    assert documented == {name for call in calls() for name in event_of(call)}


def test_every_outcome_of_a_call_is_documented_and_no_other() -> None:
    assert set(first_column(section(LOGGING, "Outcomes"))) == set(outcomes())


def names_in(text: str) -> list[list[str]]:
    return [list(json.loads(line)) for line in re.findall(r"^\{.*\}$", text, re.MULTILINE)]


def nodes() -> Iterator[ast.AST]:
    for file in (ROOT / "devin_mcp").rglob("*.py"):
        yield from ast.walk(ast.parse(file.read_text()))


def calls() -> Iterator[ast.Call]:
    return (node for node in nodes() if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    function = call.func
    return getattr(function, "id", getattr(function, "attr", ""))


def event_of(call: ast.Call) -> list[str]:
    """The name of the event that this call logs."""
    return texts_in(call.args[0]) if name_of(call) == "event" and call.args else []


def outcomes() -> Iterator[str]:
    """What is assigned to `outcome`, or added to the call's record as `outcome=`."""
    for node in nodes():
        if isinstance(node, ast.Assign) and "outcome" in {
            name.id
            for target in node.targets
            for name in ast.walk(target)
            if isinstance(name, ast.Name)
        }:
            yield from texts_in(node.value)
        elif isinstance(node, ast.Call) and name_of(node) in {"note", "add_call_facts"}:
            for keyword in node.keywords:
                if keyword.arg == "outcome":
                    yield from texts_in(keyword.value)


def texts_in(node: ast.AST) -> list[str]:
    return [
        constant.value
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    ]


def test_page_explains_every_reason_of_a_rejection() -> None:
    """They are the second argument of RequestRejected, and of what makes one for OAuth."""
    reasons = set()
    for file in (ROOT / "devin_mcp" / "server" / "http").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            is_rejection = ast.unparse(node.func).endswith(("RequestRejected", "_challenge"))
            reason = node.args[1]
            if is_rejection and isinstance(reason, ast.Constant):
                reasons.add(reason.value)
    rows = section(LOGGING, "Reasons").split("| reason |")[1].splitlines()[2:]
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    assert explained == reasons
