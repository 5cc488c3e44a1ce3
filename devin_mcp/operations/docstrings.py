"""Docstrings of operations, resources and prompts: they are the descriptions that clients see."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any


def docstring_of(function: Callable[..., Any]) -> str:
    """The docstring of a function at the top level of a module.

    PYTHONOPTIMIZE=2 and `python -OO` remove docstrings; then it is read from the source.
    """
    docstring = function.__doc__
    if docstring is None:
        docstring = _docstrings_in(function.__module__).get(function.__name__, "")
    return inspect.cleandoc(docstring)


@cache
def _docstrings_in(module: str) -> Mapping[str, str]:
    """Function name -> docstring, from the source of a module; empty if only bytecode exists."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:
        return {}
    return {
        node.name: ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
