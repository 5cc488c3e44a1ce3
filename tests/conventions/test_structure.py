"""The structure of the package: which module may import which, and what no module may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from devin_mcp.operations import OPERATIONS
from devin_mcp.sandbox.request_bodies import SHAPES
from devin_mcp.sandbox.v1 import ROUTES
from tests.conventions.sources import (
    MODULES,
    PACKAGE,
    TEST_FILES,
    assert_no_offenders,
    imports,
    module_of,
    relative,
    tree_of,
)
from tests.conventions.test_contract import CONTRACTS

MAX_LINES = 300
MAX_TEST_NAME_CHARS = 70

LEAVES = {"errors", "keys", "suggest", "settings", "observability", "stop_signals"}
ROOMS = {
    "api": {"api", "version"} | LEAVES,
    "operations": {"operations", "api"} | LEAVES,
    "server": {"server", "operations", "api", "asgi_server", "sandbox", "version"} | LEAVES,
    "sandbox": {"sandbox", "settings", "observability", "asgi_server", "keys"},
    "asgi_server": {"http_protocol", "settings", "observability", "stop_signals"},
    "http_protocol": {"observability"},
    "observability": {"observability", "keys", "settings", "errors"},
    "settings": {"settings", "suggest", "keys"},
    "errors": {"keys"},
    "keys": set(),
    "suggest": set(),
    "stop_signals": set(),
}
"""Room -> the rooms that it may import. cli/ is not listed: commands may import everything."""
COMMANDS = {"cli", "__main__"}

HTTP_CLIENTS = {"httpx", "httpcore"}
MCP_SDK = {"mcp", "mcp_types"}
POSIX_ONLY = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "uvloop"}
ENVIRONMENT_READERS = {"devin_mcp.settings.environment"}
VAGUE_NAMES = {"base", "common", "helpers", "manager", "utils"}


def room(name: str) -> str:
    """The room of an imported name of ours; the package itself holds only the version."""
    module = module_of(name)
    return "version" if module == "devin_mcp" else module.split(".")[1]


def test_modules_import_only_the_rooms_below_them() -> None:
    offenders = []
    for module, file in MODULES.items():
        here = room(module)
        if here in COMMANDS or here == "version":
            continue
        if here not in ROOMS:
            offenders.append(f"{module}: no rule for the room {here}")
            continue
        offenders += [
            f"{module} imports {name}"
            for name in imports(tree_of(file))
            if name.split(".")[0] == "devin_mcp" and room(name) not in ROOMS[here]
        ]
    assert_no_offenders(offenders, "move the code, or pass what it needs; ROOMS has the direction")


def test_only_api_imports_an_http_client() -> None:
    offenders = [
        f"{module} imports {name}"
        for module, file in MODULES.items()
        for name in imports(tree_of(file))
        if name.split(".")[0] in HTTP_CLIENTS and room(module) != "api"
    ]
    assert_no_offenders(offenders, "send requests through api/")


def test_only_server_and_demo_import_the_mcp_sdk() -> None:
    offenders = [
        f"{module} imports {name}"
        for module, file in MODULES.items()
        for name in imports(tree_of(file))
        if name.split(".")[0] in MCP_SDK
        and room(module) != "server"
        and not module.startswith("devin_mcp.cli.demo.")
    ]
    assert_no_offenders(offenders, "keep the protocol in server/")


def test_no_import_cycle() -> None:
    """Imports inside functions and under TYPE_CHECKING count, too."""
    graph = {
        module: {module_of(name) for name in imports(tree_of(file))} & (set(MODULES) - {module})
        for module, file in MODULES.items()
    }
    cycles = []
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1]
            cycles.append(" <- ".join(cycle))
            graph[cycle[1]].discard(cycle[0])  # so that the next cycle is found
        else:
            break
    assert_no_offenders(cycles, "move what both modules need into a third one")


def test_only_settings_read_the_environment() -> None:
    offenders = [
        module
        for module, file in MODULES.items()
        if module not in ENVIRONMENT_READERS
        and re.search(r"\bos\.(environ|getenv|putenv)\b", file.read_text(encoding="utf-8"))
    ]
    assert_no_offenders(offenders, "read the variable in settings/environment.py")


def test_only_commands_print() -> None:
    offenders = [
        f"{module}:{node.lineno}"
        for module, file in MODULES.items()
        if room(module) != "cli"
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert_no_offenders(offenders, "write an event with observability.log")


def test_nothing_posix_only_is_imported_at_module_level() -> None:
    offenders = [
        f"{module} imports {name}"
        for module, file in MODULES.items()
        for statement in tree_of(file).body
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        for name in imports(statement)
        if name.split(".")[0] in POSIX_ONLY
    ]
    assert_no_offenders(
        offenders, "import it inside the function that needs it: the server runs on Windows"
    )


def test_files_are_short() -> None:
    offenders = [
        f"{relative(file)} has {lines} lines"
        for file in [*MODULES.values(), *TEST_FILES]
        if (lines := file.read_text(encoding="utf-8").count("\n")) > MAX_LINES
    ]
    assert_no_offenders(offenders, f"split files by noun, at most {MAX_LINES} lines")


def test_modules_have_a_docstring_and_no_open_work() -> None:
    offenders = []
    for module, file in MODULES.items():
        text = file.read_text(encoding="utf-8")
        if not ast.get_docstring(tree_of(file)):
            offenders.append(f"{module} has no docstring")
        if re.search(r"\b(TODO|FIXME|XXX)\b", text):
            offenders.append(f"{module} has a TODO")
        if file.stem in VAGUE_NAMES:
            offenders.append(f"{module} has a name that says nothing")
    assert_no_offenders(offenders, "say what the module is for; open work belongs in an issue")


def test_server_has_no_words_of_the_devin_api() -> None:
    words = re.compile(r"/v1/|status_enum|\"blocked\"|\"finished\"|if [\w.]*read_only\b")
    offenders = [
        f"{module}:{number} {line.strip()}"
        for module, file in MODULES.items()
        if room(module) == "server" and file.name != "visibility.py"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert_no_offenders(
        offenders, "routes and status words belong in operations/, policy in visibility.py"
    )


def test_every_module_with_an_operation_is_imported() -> None:
    declaring = {
        module
        for module, file in MODULES.items()
        if room(module) == "operations"
        and re.search(r"\n@(operation|workflow)\(", file.read_text(encoding="utf-8"))
    }
    imported = {operation.function.__module__ for operation in OPERATIONS}
    assert_no_offenders(declaring - imported, "import the module in operations/__init__.py")


def test_sandbox_serves_exactly_the_routes_and_fields_of_the_contract() -> None:
    documented = {
        (method.upper(), path)
        for path, methods in CONTRACTS["v1"]["paths"].items()
        for method in methods
        if method != "parameters"
    }
    assert set(ROUTES) == documented
    for name, fields in SHAPES.items():
        schema = CONTRACTS["v1"]["components"]["schemas"][name]
        assert set(fields) == set(schema["properties"])
        required = {field for field, (_, is_required) in fields.items() if is_required}
        assert required == set(schema["required"])


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_import_no_heavy_library(argument: str) -> None:
    code = (
        "import sys\n"
        "from devin_mcp.cli.main import main\n"
        "try:\n    main([sys.argv[1]])\nexcept SystemExit: pass\n"
        "heavy = {'mcp', 'httpx', 'pydantic', 'structlog', 'starlette'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, argument],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "devin-mcp" in process.stdout


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def called_names(function: ast.AST) -> set[str]:
    """The names of all functions and methods that are called in it."""
    targets = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {
        target.attr if isinstance(target, ast.Attribute) else target.id
        for target in targets
        if isinstance(target, ast.Attribute | ast.Name)
    }


def asserts(function: ast.AST) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(function))


def test_every_test_asserts_something_and_has_a_short_name() -> None:
    """A test may assert in a helper: then the helper has the assert statement."""
    checks = {"raises", "validate"} | {
        function.name
        for file in TEST_FILES
        for function in functions(tree_of(file))
        if asserts(function)
    }
    offenders = []
    for file in (file for file in TEST_FILES if file.name.startswith("test_")):
        for function in functions(tree_of(file)):
            if not function.name.startswith("test_"):
                continue
            where = f"{relative(file)}:{function.lineno} {function.name}"
            if not asserts(function) and not checks & called_names(function):
                offenders.append(f"{where} asserts nothing")
            if len(function.name) > MAX_TEST_NAME_CHARS:
                offenders.append(f"{where} has {len(function.name)} characters")
    assert_no_offenders(
        offenders, f"subject, verb, condition, at most {MAX_TEST_NAME_CHARS} characters"
    )
