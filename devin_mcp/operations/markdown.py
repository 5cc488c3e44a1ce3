"""Markdown for people and models: lines, tables and quotes that keep third-party text apart from
ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from devin_mcp.observability import printable
from devin_mcp.observability.redaction import redactor

MAX_LINE_CHARS = 160
MAX_CELL_CHARS = 80
"""Of a title in a table; addresses and ids stay whole."""
MAX_ADDRESS_CHARS = 1000

_LIST_MARK = re.compile(r"^[\s#>*+-]+|^\s*\d+[.)]\s+")


def one_line(text: str | None, max_chars: int = MAX_LINE_CHARS) -> str:
    """The text without line breaks, cut with an ellipsis; empty for None."""
    return printable.one_line(text or "", max_chars)


def first_line(text: str | None) -> str:
    """The first line that is not empty, without the marks of a heading or a list."""
    start = redactor.clean((text or "")[: printable.MAX_READ_CHARS])
    lines = (_LIST_MARK.sub("", line).strip() for line in start.splitlines())
    return one_line(next((line for line in lines if line), ""))


def document(title: str | None, head: str, body: str) -> str:
    """A document: our words above the rule, third-party text below it."""
    return "\n\n".join(part for part in (f"# {one_line(title)}", head, "---", body) if part)


def quoted(text: str) -> str:
    """A block quote, so that the text reads as a quotation whatever it says."""
    return "\n".join(f"> {line}".rstrip() for line in re.split(r"\r\n|\r|\n", text)) or ">"


def facts(**values: str | None) -> str:
    """`- Name: value` for every value that is not empty; underscores in names become spaces."""
    return "\n".join(
        f"- {name.replace('_', ' ').capitalize()}: {one_line(value, MAX_ADDRESS_CHARS)}"
        for name, value in values.items()
        if value
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str | None]], room: int) -> tuple[str, int]:
    """A table of the rows that fit into `room` characters, and how many rows did not fit."""
    lines = [_table_row(heads), _table_row(["---"] * len(heads))]
    room -= sum(len(line) + 1 for line in lines)
    for count, row in enumerate(rows):
        line = _table_row(row)
        room -= len(line) + 1
        if room < 0:
            return "\n".join(lines), len(rows) - count
        lines.append(line)
    return "\n".join(lines), 0


def _table_row(cells: Sequence[str | None]) -> str:
    texts = (one_line(cell, MAX_ADDRESS_CHARS).replace("|", "│") for cell in cells)
    return f"| {' | '.join(texts)} |"
