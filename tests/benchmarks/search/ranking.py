"""Ranks tools as hosts do that show a model names only: BM25 over what a tool says of itself.

Codex searches so, with stemming and without stop words (hosts.md §2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import Stemmer

HERE = Path(__file__).parent
WITHIN = 5
"""Results that a host shows its model."""


@dataclass(frozen=True)
class SearchQuery:
    tool: str
    """The tool that should be found."""
    text: str


def read_queries(file: str = "queries.txt") -> list[SearchQuery]:
    return [SearchQuery(f"devin_{tool}", text) for tool, text in _rows(file)]


def search_text(tool: dict[str, Any]) -> str:
    """Name, description, names of arguments and hint of a tool as `tools/list` returns it."""
    hint = tool.get("_meta", {}).get("anthropic/searchHint", "")
    arguments = tool["inputSchema"].get("properties", {})
    return _words(tool["name"], tool["description"], *arguments, hint)


def other_tools() -> dict[str, str]:
    """Made-up tools of other servers: name to search text."""
    return {row[0]: _words(*row) for row in _rows("other_tools.txt")}


class ToolSearch:
    def __init__(self, tools: dict[str, str]) -> None:
        """`tools`: name to search text."""
        self._names = list(tools)
        self._stemmer = Stemmer.Stemmer("english")
        self._index = bm25s.BM25()
        self._index.index(self._tokens(list(tools.values())), show_progress=False)

    def rank(self, query: SearchQuery) -> int | None:
        """The place of the query's tool, from 1; None if no word of the query is in it."""
        places, scores = self._index.retrieve(
            self._tokens([query.text]), k=len(self._names), show_progress=False
        )
        ranked = [
            self._names[place]
            for place, score in zip(places[0], scores[0], strict=True)
            if score > 0
        ]
        return ranked.index(query.tool) + 1 if query.tool in ranked else None

    def _tokens(self, texts: Sequence[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, show_progress=False)


@dataclass(frozen=True)
class SearchResult:
    ranks: dict[SearchQuery, int | None]

    @property
    def found(self) -> int:
        """Queries whose tool is among the first five."""
        return sum(rank is not None and rank <= WITHIN for rank in self.ranks.values())

    @property
    def reciprocal_rank(self) -> float:
        """The mean of 1 / rank, where 0 stands for not found."""
        return sum(1 / rank if rank else 0.0 for rank in self.ranks.values()) / len(self.ranks)


def search_all(tools: Sequence[dict[str, Any]], queries: Sequence[SearchQuery]) -> SearchResult:
    search = ToolSearch({tool["name"]: search_text(tool) for tool in tools} | other_tools())
    return SearchResult({query: search.rank(query) for query in queries})


def _words(*texts: str) -> str:
    return " ".join(texts).replace("_", " ")


def _rows(file: str) -> list[list[str]]:
    lines = (HERE / file).read_text().splitlines()
    return [
        [part.strip() for part in line.split("|")] for line in lines if not line.startswith("#")
    ]
