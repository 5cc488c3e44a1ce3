"""The house keeps its shape: who may import whom, what nobody writes, how large a room is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devin_mcp.operations import OPERATIONS
from devin_mcp.sandbox.request_bodies import SHAPES
from devin_mcp.sandbox.v1 import ROUTES
from tests.conventions.test_schemas import CONTRACT

PACKAGE = Path(__file__).parent.parent.parent / "devin_mcp"
FILES = sorted(PACKAGE.rglob("*.py"))
ids = [str(file.relative_to(PACKAGE)) for file in FILES]
every_file = pytest.mark.parametrize("file", FILES, ids=ids)

ROOMS = {
    "api": {"api", "settings", "values", "errors", "log", "redaction", ""},
    "operations": {"operations", "api", "settings", "errors", "log", "redaction"},
    "server": {
        "server",
        "operations",
        "api",
        "settings",
        "knobs",
        "values",
        "errors",
        "log",
        "redaction",
        "listen",
        "metrics",
        "tracing",
        "sandbox",
        "",
    },
    "sandbox": {"sandbox", "settings", "log", "listen"},
    "settings": {"knobs", "values"},
    "knobs": {"values"},
    "values": set(),
    "errors": set(),
    "log": {"gathering", "redaction"},
    "gathering": set(),
    "redaction": set(),
    "listen": {"knobs", "values"},
    "metrics": {"settings", "knobs", "log"},
    "tracing": {"settings", "knobs", "log"},
}
"""Room -> what it may import of ours; the package itself ("") holds the version."""


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def room(module: str) -> str:
    return [*module.split("."), ""][1]


@every_file
def test_imports_go_one_way(file: Path) -> None:
    here = room(".".join(["devin_mcp", *file.relative_to(PACKAGE).with_suffix("").parts]))
    if here in {"cli", "clients", "demo", "doctor", "installing", "__main__", "__init__"}:
        return
    for module in imports(ast.parse(file.read_text())):
        if module.split(".")[0] == "devin_mcp":
            assert room(module) in ROOMS[here], f"{here} may not import {module}"
        if module.split(".")[0] in {"httpx", "httpcore"}:
            assert here == "api", "only api/ speaks HTTP to Devin"
        if module.split(".")[0] in {"mcp", "mcp_types"}:
            assert here == "server", "only server/ speaks MCP"


@every_file
def test_only_settings_reads_the_environment_and_nothing_prints_while_serving(file: Path) -> None:
    text = file.read_text()
    if file.name != "settings.py":
        assert not re.search(r"\bos\.(environ|getenv|putenv)\b", text), "ask settings.py"
    if file.name not in {"cli.py", "demo.py", "doctor.py", "listing.py"}:
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        assert not [
            client
            for client in calls
            if isinstance(client.func, ast.Name) and client.func.id == "print"
        ], "log it instead"


@every_file
def test_a_file_is_small_and_says_what_it_is(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= 310, "a noun that outgrew its file"
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    assert not {"utils", "helpers", "common", "base", "manager"} & {file.stem}


@every_file
def test_nothing_posix_only_is_imported_at_start(file: Path) -> None:
    module = ast.parse(file.read_text())
    top = [name for node in module.body for name in imports(node)]
    assert not {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "uvloop"} & set(top), (
        "Windows users exist"
    )


@pytest.mark.parametrize("file", [*(PACKAGE / "server").rglob("*.py")], ids=lambda file: file.name)
def test_the_protocol_knows_no_words_of_devins(file: Path) -> None:
    assert not re.search(
        r"/v1/|status_enum|\"blocked\"|\"finished\"|if [\w.]*read_only\b(?!.*visibility)",
        file.read_text(),
    ) or (file.name == "visibility.py")


def test_importing_a_noun_is_not_forgotten() -> None:
    declared = {
        file.stem
        for file in (PACKAGE / "operations").glob("*.py")
        if re.search(r"\n@(operation|workflow)\(", file.read_text())
    }
    assert declared == {one.function.__module__.rsplit(".", 1)[1] for one in OPERATIONS}


def test_the_sandbox_serves_just_the_contracts_routes_and_fields() -> None:
    documented = {
        (method.upper(), path)
        for path, methods in CONTRACT["paths"].items()
        for method in methods
        if method != "parameters"
    }
    assert set(ROUTES) == documented
    for name, fields in SHAPES.items():
        schema = CONTRACT["components"]["schemas"][name]
        assert set(fields) == set(schema["properties"])
        assert {field for field, (_, required) in fields.items() if required} == set(
            schema["required"]
        )


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_answer_without_the_sdk(argument: str) -> None:
    code = (
        "import sys\nfrom devin_mcp.cli.main import main\ntry:\n    main([sys.argv[1]])\nexcept SystemExit: pass\n"
        "heavy = {'mcp', 'httpx', 'pydantic', 'structlog', 'starlette'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "devin-mcp" in done.stdout


def test_no_test_asserts_nothing() -> None:
    for file in PACKAGE.parent.joinpath("tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            ):
                body = ast.unparse(node)
                assert re.search(
                    r"\bassert\b|raises|\.ok\(|\.error\(|jsonschema\.validate", body
                ), f"{file.name}: {node.name} asserts nothing"
