"""Behaviour tests run on both APIs: each takes the fixture `api`, or says why it cannot."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.conventions.sources import assert_no_offenders

OPERATIONS = Path(__file__).parents[1] / "operations"
MARK = "one_api"
"""`@pytest.mark.one_api("v1", reason="...")` on a test, or in `pytestmark` of its file."""


def _tests() -> Iterator[tuple[str, ast.AsyncFunctionDef, ast.Module]]:
    """The tests of operations that drive a client."""
    for file in sorted(OPERATIONS.rglob("test_*.py")):
        module = ast.parse(file.read_text(encoding="utf-8"))
        for node in module.body:
            if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_"):
                names = {argument.arg for argument in node.args.args}
                if "connect" in names:
                    yield f"{file.relative_to(OPERATIONS)}::{node.name}", node, module


def _marks(node: ast.AsyncFunctionDef, module: ast.Module) -> list[ast.Call]:
    """The calls of `pytest.mark.one_api` that apply to a test."""
    values: list[ast.AST] = list(node.decorator_list)
    values += [
        statement.value
        for statement in module.body
        if isinstance(statement, ast.Assign)
        and any(
            isinstance(name, ast.Name) and name.id == "pytestmark" for name in statement.targets
        )
    ]
    return [
        call
        for value in values
        for call in ast.walk(value)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == MARK
    ]


def test_behaviour_runs_on_both_apis_or_says_why_not() -> None:
    offenders = []
    for name, node, module in _tests():
        takes_api = "api" in {argument.arg for argument in node.args.args}
        uses_api = any(
            isinstance(value, ast.Constant) and value.value == "api"
            for statement in [*module.body, *node.decorator_list]
            if not isinstance(statement, ast.AsyncFunctionDef | ast.FunctionDef)
            for value in ast.walk(statement)
        )
        if not (takes_api or uses_api or _marks(node, module)):
            offenders.append(name)
    assert_no_offenders(offenders, 'take the fixture api, or mark it one_api("v1", reason="...")')


def test_every_test_of_one_api_has_a_reason() -> None:
    offenders = [
        name
        for name, node, module in _tests()
        for call in _marks(node, module)
        if not any(keyword.arg == "reason" for keyword in call.keywords)
        or not call.args
        or getattr(call.args[0], "value", None) not in {"v1", "v3"}
    ]
    assert_no_offenders(offenders, 'write one_api("v1", reason="...")')
