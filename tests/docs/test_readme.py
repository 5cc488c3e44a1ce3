"""README.md is short, its two set-up lines stay, and every page can be reached from it."""

from __future__ import annotations

import re

from devin_mcp import __version__
from tests.docs.pages import CHANGELOG, DOCS, README, pages

MAX_README_WORDS = 1500
DEMO = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/devin-mcp demo"  # newcomer
)
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]'"
    " && .venv/bin/python -m pytest -n auto --cov"  # .ci/run runs the line that starts like this
)


def test_readme_has_at_most_1500_words() -> None:
    """Counted as `wc -w` does, so a table's `|` is a word, but without comments and link URLs."""
    text = re.sub(r"<!--.*?-->", "", README.read_text(), flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    assert len(text.split()) <= MAX_README_WORDS


def test_readme_has_the_two_setup_lines() -> None:
    lines = README.read_text().splitlines()
    assert [line for line in lines if line.startswith("python3 -m venv .venv && ")] == [DEMO, TEST]


def test_readme_says_unreleased_exactly_while_that_is_true() -> None:
    latest = re.findall(r"^## (.+)$", CHANGELOG.read_text(), re.MULTILINE)[0]
    assert latest.startswith(__version__)
    assert ("Not released yet" in README.read_text()) == ("unreleased" in latest)


def test_readme_links_to_every_page_in_docs() -> None:
    links = set(re.findall(r"\]\(docs/([^)#]+)", README.read_text()))
    assert {page.name for page in DOCS.glob("*.md")} <= links


def test_links_between_pages_have_a_target() -> None:
    problems = []
    for page in pages():
        for target, anchor in re.findall(
            r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text()
        ):
            file = page.parent / target if target else page
            if not file.exists():
                problems.append(f"{page.name}: {target}")
            elif anchor and anchor not in anchors_of(file.read_text()):
                problems.append(f"{page.name}: {target}#{anchor}")
    assert not problems


def anchors_of(text: str) -> set[str]:
    """Anchors as GitHub derives them from headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
