"""The files that the conventions are checked on, and how offenders are reported."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "devin_mcp"
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}
"""Name such as devin_mcp.api.client -> file."""
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))


@lru_cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """The full names of everything that is imported in it, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str) -> str:
    """The module of devin_mcp that an imported name is, or comes from."""
    return name if name in MODULES else name.rpartition(".")[0]


def tracked_files() -> list[Path]:
    """All files that are in the repository, or will be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [file for name in listing.stdout.splitlines() if (file := ROOT / name).is_file()]


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def assert_no_offenders(offenders: Iterable[str], remedy: str) -> None:
    """Fail once, with all offenders, one per line, and what to do about them."""
    lines = sorted(set(offenders))
    assert not lines, f"{len(lines)} offender(s): {remedy}\n  " + "\n  ".join(lines)
