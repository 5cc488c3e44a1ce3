"""The documentation files and their generated parts."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SECURITY = ROOT / "SECURITY.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CHANGELOG = ROOT / "CHANGELOG.md"
DOCS = ROOT / "docs"
DELEGATING = DOCS / "delegating.md"
LOGGING = DOCS / "logging.md"
MIGRATING = DOCS / "migrating.md"
OPERATING = DOCS / "operating.md"
RESOURCES_AND_PROMPTS = DOCS / "resources-and-prompts.md"
SCHEDULES = DOCS / "schedules.md"
SANDBOX = DOCS / "sandbox.md"
SETTINGS_PAGE = DOCS / "settings.md"
TROUBLESHOOTING = DOCS / "troubleshooting.md"
UPDATE = bool(os.environ.get("UPDATE_DOCS"))


def pages() -> list[Path]:
    """Every Markdown file that users or contributors read."""
    return [
        file for folder in ("", "docs/", "manifests/**/") for file in ROOT.glob(f"{folder}*.md")
    ]


def part(file: Path, name: str) -> str:
    """The text between `<!-- name: ... -->` and `<!-- /name -->`."""
    match = _find_part(file.read_text(), name)
    assert match is not None, f"{file.name} has no part {name}"
    return match[2]


def assert_part_matches(file: Path, name: str, expected: str) -> None:
    """Compare a generated part with `expected`. With UPDATE_DOCS=1, write it instead."""
    if UPDATE:
        text = file.read_text()
        match = _find_part(text, name)
        assert match is not None, f"{file.name} has no part {name}"
        updated = f"{text[: match.start(2)]}{expected}\n{text[match.end(2) :]}"
        if updated != text:  # replaced as a whole: another worker of pytest may be reading it
            new = file.with_suffix(f".{name}.new")
            new.write_text(updated)
            new.replace(file)
    assert part(file, name) == f"{expected}\n", f"run UPDATE_DOCS=1 pytest tests/docs: {name}"


def table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in (headers, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(headers)}", *lines[1:]])


def section(file: Path, heading: str) -> str:
    """The text of a section, up to the next heading of the same level."""
    pattern = rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)"
    match = re.search(pattern, file.read_text(), re.MULTILINE | re.DOTALL)
    assert match is not None, f"{file.name} has no section {heading}"
    return match[1]


def code_blocks(file: Path, language: str) -> list[str]:
    """The code blocks of a page in one language, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)\n```$", file.read_text(), re.MULTILINE | re.DOTALL)


def first_column(text: str) -> list[str]:
    """The code words in the first column of a table, in order."""
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def _find_part(text: str, name: str) -> re.Match[str] | None:
    return re.search(rf"(<!-- {name}(?::[^\n]*)? -->\n)(.*?)(<!-- /{name} -->)", text, re.DOTALL)
