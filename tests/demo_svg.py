"""The README's picture: what `devin-mcp demo` printed up to the pull request, drawn as a terminal."""

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
LETTER = 12.2
"""Its width in the picture."""
LABELS = {
    "You": "bold #7cc4ff",
    "Devin": "bold #ffb454",
    "Session": "bold #ffb454",
    "Pull": "bold #8fe38f",
}
"""First word of a step -> how it stands out: what you do, what Devin does, what comes of it."""
NIGHT = TerminalTheme((23, 32, 58), (222, 226, 236), [(0, 0, 0)] * 8, [(128, 136, 160)] * 8)


def told(demo: str) -> list[str]:
    """The lines that are shown, from the connection to the pull request."""
    lines = demo.splitlines()
    last = next(number for number, line in enumerate(lines) if "Pull request" in line)
    return [line.rstrip() for line in lines[: last + 1]]


def draw(demo: str) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text(COMMAND, "bold"))
    for line in told(demo):
        found = re.match(r"( *[\d.]+s)  (.{13}) (.*)", line)
        if found is None:
            console.print(Text(line, "#8890a8" if line.lstrip().startswith("next: ") else ""))
        else:
            style = LABELS.get(found[2].split()[0], "bold")
            console.print(
                Text.assemble((found[1], "#8890a8"), "  ", (found[2], style), " ", found[3])
            )
    drawn = console.export_svg(title="A delegation, simulated", theme=NIGHT, unique_id="delegation")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # a picture fetches nothing


def read(svg: str) -> list[str]:
    """The lines of text in a picture, without its title."""
    rows: dict[float, str] = {}
    for x, y, text in re.findall(
        r'<text class="delegation-r\d+" x="([\d.]+)" y="([\d.]+)" textLength[^>]*>([^<]*)</text>',
        svg,
    ):
        column = round(float(x) / LETTER)
        rows[float(y)] = rows.get(float(y), "").ljust(column) + html.unescape(text).replace(
            "\xa0", " "
        )
    return [text.rstrip() for _, text in sorted(rows.items())]


def plain(lines: list[str]) -> str:
    """Without what is different each time: times, ids, and where lines break."""
    text = re.sub(r"\d+\.\ds", "0.0s", " ".join(lines))
    return re.sub(r"\s+", " ", re.sub(r"\b[0-9a-f]{32}\b", "ID", text)).strip()
