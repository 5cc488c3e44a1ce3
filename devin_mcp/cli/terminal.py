"""Terminal output: wrapped lines, without characters that could control the terminal."""

from __future__ import annotations

import textwrap

from devin_mcp.observability.printable import printable

WIDTH = 110


def print_text(text: str) -> None:
    """Print a text that may contain somebody else's."""
    print(printable(text, keep_line_ends=True), flush=True)


def print_wrapped(label: str, text: str) -> None:
    """Print a label with a text beside it, in lines of 110 characters."""
    lines = textwrap.fill(
        printable(text, keep_line_ends=True),
        WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
    )
    print(lines, flush=True)
