"""The README's picture: the output of `devin-mcp demo` up to the pull request."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).parents[1] / "docs" / "delegation.svg"
COMMAND = "$ devin-mcp demo"
COLUMNS = 112
LETTER_WIDTH = 12.2
LABELS = {
    "You": "bold #7cc4ff",
    "Devin": "bold #ffb454",
    "Session": "bold #ffb454",
    "Pull": "bold #8fe38f",
}
"""First word of a step -> its style."""
THEME = TerminalTheme((23, 32, 58), (222, 226, 236), [(0, 0, 0)] * 8, [(128, 136, 160)] * 8)


def told(demo: str) -> list[str]:
    """The lines that the picture shows, from the connection to the pull request."""
    lines = demo.splitlines()
    last = next(number for number, line in enumerate(lines) if "Pull request" in line)
    return [line.rstrip() for line in lines[: last + 1]]


def draw(demo: str) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text(COMMAND, "bold"))
    for line in told(demo):
        step = re.match(r"( *[\d.]+s)  (.{13}) (.*)", line)
        if step is None:
            console.print(Text(line, "#8890a8" if line.lstrip().startswith("next: ") else ""))
        else:
            style = LABELS.get(step[2].split()[0], "bold")
            console.print(Text.assemble((step[1], "#8890a8"), "  ", (step[2], style), " ", step[3]))
    drawn = console.export_svg(title="A delegation, simulated", theme=THEME, unique_id="delegation")
    return re.sub(
        r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL
    )  # the picture loads no font from the network


def read(svg: str) -> list[str]:
    """The lines of text in a picture, without its title."""
    rows: dict[float, str] = {}
    for x, y, text in re.findall(
        r'<text class="delegation-r\d+" x="([\d.]+)" y="([\d.]+)" textLength[^>]*>([^<]*)</text>',
        svg,
    ):
        column = round(float(x) / LETTER_WIDTH)
        rows[float(y)] = rows.get(float(y), "").ljust(column) + html.unescape(text).replace(
            "\xa0", " "
        )
    return [text.rstrip() for _, text in sorted(rows.items())]


def plain(lines: list[str]) -> str:
    """The text without what differs between runs: times, ids, line breaks."""
    text = re.sub(r"\d+\.\ds", "0.0s", " ".join(lines))
    return re.sub(r"\s+", " ", re.sub(r"\b[0-9a-f]{32}\b", "ID", text)).strip()
