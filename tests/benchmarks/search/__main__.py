"""`python -m tests.benchmarks.search`: ranks our tools for queries that a model would type."""

from __future__ import annotations

import sys

from devin_mcp.server.tools import published_tools
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings import Settings
from tests.benchmarks.search.ranking import WITHIN, other_tools, read_queries, search_all

FILES = ("queries.txt", "independent_queries.txt", "fresh_queries.txt")


def main() -> int:
    tools = published_tools(visible_tools(Settings(), "stdio"))
    print(f"{len(tools)} tools of ours among {len(other_tools())} of other servers")
    for file in FILES:
        print(f"\n{file}")
        result = search_all(tools, read_queries(file))
        for query, rank in result.ranks.items():
            print(f"{rank or '-':>4}  {query.tool:<28} {query.text}")
        print(f"found within {WITHIN}: {result.found} of {len(result.ranks)}")
        print(f"mean reciprocal rank: {result.reciprocal_rank:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
