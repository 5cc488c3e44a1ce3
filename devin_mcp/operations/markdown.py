"""Markdown for people and models: lines, tables and quotes in which a text of somebody else stays what it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

ONE_LINE = 160
CELL = 80
"""Characters of a title in a table; addresses and ids stay whole."""
LONGEST_CELL = 1000


def one_line(text: str | None, longest: int = ONE_LINE) -> str:
    """The text without line breaks, cut with an ellipsis; empty for nothing."""
    flat = " ".join((text or "").split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1].rstrip()}…"


def first_line(text: str | None) -> str:
    """What a markdown text begins with, without the signs of a heading or a list."""
    lines = (
        re.sub(r"^[\s#>*+-]+|^\s*\d+[.)]\s+", "", line).strip()
        for line in (text or "").splitlines()
    )
    return one_line(next((line for line in lines if line), ""))


def document(title: str | None, head: str, body: str) -> str:
    """Our words above the rule, somebody else's below it."""
    return "\n\n".join(part for part in (f"# {one_line(title)}", head, "---", body) if part)


def quoted(text: str) -> str:
    """As a block quote: whatever it says, it reads as said by somebody else."""
    return "\n".join(f"> {line}".rstrip() for line in re.split(r"\r\n|\r|\n", text)) or ">"


def facts(**pairs: str | None) -> str:
    """`- Name: value` for every value there is, each on one line; underscores in names read as spaces."""
    return "\n".join(
        f"- {name.replace('_', ' ').capitalize()}: {one_line(value, 1000)}"
        for name, value in pairs.items()
        if value
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str | None]], room: int) -> tuple[str, int]:
    """A table of the rows that fit into `room` characters, and how many did not."""
    lines = [_row(heads), _row(["---"] * len(heads))]
    room -= sum(len(line) + 1 for line in lines)
    for count, row in enumerate(rows):
        line = _row(row)
        room -= len(line) + 1
        if room < 0:
            return "\n".join(lines), len(rows) - count
        lines.append(line)
    return "\n".join(lines), 0


def _row(cells: Sequence[str | None]) -> str:
    return f"| {' | '.join(one_line(cell, LONGEST_CELL).replace('|', '│') for cell in cells)} |"
