"""The demo's output: timed steps, further lines below them, and rows in two columns."""

from __future__ import annotations

import textwrap
import time
from itertools import zip_longest

from devin_mcp.cli.terminal import print_wrapped
from devin_mcp.observability.printable import printable

INDENT = " " * 22
COLUMN_WIDTH = 43

_started_at = time.monotonic()


def show_step(label: str, text: str) -> None:
    print_wrapped(f"{time.monotonic() - _started_at:5.1f}s  {label:<13} ", text)


def show_line(text: str) -> None:
    print_wrapped(INDENT, text)


def show_block(text: str, max_lines: int = 100) -> None:
    lines = printable(text, keep_line_ends=True).split("\n")
    for line in lines[:max_lines]:
        show_line(line) if line else print(flush=True)
    if len(lines) > max_lines:
        show_line("...")


def show_row(label: str, left: str, right: str) -> None:
    """Two texts side by side, each wrapped in its column."""
    columns = (textwrap.wrap(printable(text), COLUMN_WIDTH) for text in (left, right))
    for number, (left_line, right_line) in enumerate(zip_longest(*columns, fillvalue="")):
        shown_label = "" if number else label
        cells = f"{left_line:<{COLUMN_WIDTH}}  {right_line}"
        print(f"        {printable(shown_label):<13} {cells}".rstrip(), flush=True)
