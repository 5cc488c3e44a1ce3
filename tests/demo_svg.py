"""Draws docs/delegation.svg: the output of `devin-mcp demo` up to the pull request."""

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
WIDTH_COLUMNS = 112
COLUMN_WIDTH = 12.2
"""Width of a character in the picture, in its own units."""
STYLES = {
    "You": "bold #7cc4ff",
    "Devin": "bold #ffb454",
    "Session": "bold #ffb454",
    "Pull": "bold #8fe38f",
}
"""First word of a step -> its style: what the user does, what Devin does, the result."""
DIM = "#8890a8"
THEME = TerminalTheme((23, 32, 58), (222, 226, 236), [(0, 0, 0)] * 8, [(128, 136, 160)] * 8)


def shown_lines(demo: str) -> list[str]:
    """The lines of the demo's output that the picture shows."""
    lines = demo.splitlines()
    last = next(number for number, line in enumerate(lines) if "Pull request" in line)
    return [line.rstrip() for line in lines[: last + 1]]


def draw(demo: str) -> str:
    """The picture as SVG. Fonts are removed, so that it loads nothing from the network."""
    console = Console(record=True, width=WIDTH_COLUMNS, file=io.StringIO())
    console.print(Text(COMMAND, "bold"))
    for line in shown_lines(demo):
        step = re.match(r"( *[\d.]+s)  (.{13}) (.*)", line)
        if step is None:
            console.print(Text(line, DIM if line.lstrip().startswith("next: ") else ""))
        else:
            time, label, text = step.groups()
            style = STYLES.get(label.split()[0], "bold")
            console.print(Text.assemble((time, DIM), "  ", (label, style), " ", text))
    svg = console.export_svg(title="A delegation, simulated", theme=THEME, unique_id="delegation")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def read(svg: str) -> list[str]:
    """The lines of text in a picture, without its title."""
    lines: dict[float, str] = {}
    pattern = (
        r'<text class="delegation-r\d+" x="([\d.]+)" y="([\d.]+)" textLength[^>]*>([^<]*)</text>'
    )
    for left, baseline, escaped in re.findall(pattern, svg):
        column = round(float(left) / COLUMN_WIDTH)
        text = html.unescape(escaped).replace("\xa0", " ")
        lines[float(baseline)] = lines.get(float(baseline), "").ljust(column) + text
    return [line.rstrip() for _, line in sorted(lines.items())]


def plain(lines: list[str]) -> str:
    """The text without what differs between runs: times, ids and line breaks."""
    text = re.sub(r"\d+\.\ds", "0.0s", " ".join(lines))
    return re.sub(r"\s+", " ", re.sub(r"\b[0-9a-f]{32}\b", "ID", text)).strip()
