"""Hosts that show a model names only find our tools: BM25, among tools of other servers."""

from __future__ import annotations

import pytest

from devin_mcp.server.tools import published_tools
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings import Settings
from tests.benchmarks.search.ranking import WITHIN, read_queries, search_all
from tests.conventions.sources import assert_no_offenders

MOST_NOT_FOUND = {"queries.txt": 5, "independent_queries.txt": 1, "fresh_queries.txt": 2}
"""Queries whose tool is not among the first five."""


@pytest.mark.parametrize("file", MOST_NOT_FOUND)
def test_most_queries_find_their_tool_among_the_first_five(file: str) -> None:
    tools = published_tools(visible_tools(Settings(), "stdio"))
    result = search_all(tools, read_queries(file))
    not_found = [
        f"{query.text}: {query.tool} is at {rank or 'no'} place"
        for query, rank in result.ranks.items()
        if rank is None or rank > WITHIN
    ]
    if len(not_found) > MOST_NOT_FOUND[file]:
        assert_no_offenders(not_found, "say what the tool does in the words of the query")
    assert len(result.ranks) > 4 * MOST_NOT_FOUND[file]
