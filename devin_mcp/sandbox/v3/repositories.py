"""Repositories of v3, which are still under /v3beta1 (v3.md §1)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from devin_mcp.sandbox.request import SandboxRequest
from devin_mcp.sandbox.v3.page import page, read_boolean

FILTERS = frozenset(
    {"filter_name", "load_indexing_status", "only_repo_paths", "exclude_repo_paths"}
)
NOT_INDEXED: dict[str, Any] = {
    "indexing_enabled": False,
    "latest_completed_search_index_job": None,
    "latest_completed_wiki_index_job": None,
    "latest_indexes": [],
}


async def list_repositories(request: SandboxRequest) -> Response:
    query = request.http.query_params
    part = query.get("filter_name", "").casefold()
    only, excluded = query.getlist("only_repo_paths"), query.getlist("exclude_repo_paths")
    status = NOT_INDEXED if read_boolean(request, "load_indexing_status") else None
    rows = [
        {**repository, "indexing_status": status}
        for repository in request.organization.repositories
        if part in repository["repo_path"].casefold()
        and (not only or repository["repo_path"] in only)
        and repository["repo_path"] not in excluded
    ]
    return page(request, rows, "repo_path")
