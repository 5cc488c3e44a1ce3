"""Terminal output: wrapped lines, without characters that could control the terminal."""

from __future__ import annotations

import textwrap

WIDTH = 110


def printable(text: str) -> str:
    """The text with control and invisible characters escaped, line ends apart."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def print_wrapped(label: str, text: str) -> None:
    """Print a label with a text beside it, in lines of 110 characters."""
    lines = textwrap.fill(
        text,
        WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
    )
    print(lines, flush=True)
