"""Repositories that Devin can reach: a list, a resource, completion, and the check before a
delegation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import Field

from devin_mcp.api.models import ApiModel, ShortText, Time
from devin_mcp.api.paging import read_pages
from devin_mcp.errors import BadKey, DevinError, NotFound
from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.browsing import ResourceContent, completes, resource
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.cursor_page import read_cursor_page
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.markdown import MAX_CELL_CHARS, one_line, table
from devin_mcp.operations.matching import Candidate
from devin_mcp.operations.results import Cursor, Page, Truncatable, build_page
from devin_mcp.settings.toolsets import REPOSITORIES
from devin_mcp.suggest import closest

MAX_INDEX_PAGES = 5
"""Of 200 rows. Of a longer list it is not known what is missing in it."""
CHECK_SECONDS = 5.0
"""A delegation does not wait longer to know which repositories there are."""
WHERE_GRANTED = (
    "Access is granted in Devin's web app under Settings > Integrations, where the connection of "
    "GitHub, GitLab or another host says which repositories Devin reaches."
)


class ReachableRepository(ApiModel):
    """A repository that Devin can reach (v3.md §2; under /v3beta1)."""

    repository: ShortText = Field(validation_alias="repo_path")
    description: ShortText | None = Field(None, validation_alias="repo_description")
    language: ShortText | None = Field(None, validation_alias="repo_language")
    updated_at: Time | None = Field(None, validation_alias="last_updated_at")


class Repositories(Page):
    rows = "repositories"
    hint = "Name one in repository of devin_delegate_task."
    empty = f"Devin reaches no such repository. {WHERE_GRANTED}"

    repositories: list[ReachableRepository]


@operation(
    READ,
    REPOSITORIES,
    v3="GET /v3beta1/organizations/{org_id}/repositories?first=200",
    permission="Read",
    search_hint="which repos, codebases or projects are connected, access to GitHub or GitLab",
)
async def list_repositories(
    ctx: Context,
    name: Annotated[str | None, Field(max_length=300, description="Part of its name")] = None,
    cursor: Cursor | None = None,
) -> Truncatable[Repositories]:
    """List the repositories (code) that Devin can reach, as owner/name."""
    query = ListQuery("devin_list_repositories", {"name": name})
    start = query.decode(cursor)
    page = await read_cursor_page(
        ctx, list_repositories, ReachableRepository, {"filter_name": name}, start
    )
    return build_page(
        Repositories,
        page.rows,
        query,
        start,
        has_more=page.has_more,
        positions=page.positions,
    )


@dataclass(frozen=True)
class RepositoryIndex:
    """The repositories of a key, as they were a moment ago."""

    repositories: list[ReachableRepository]
    is_complete: bool
    """False if there are more."""

    @cached_property
    def _names(self) -> dict[str, str]:
        """Without the case of letters, which hosts ignore -> as Devin writes it."""
        return {row.repository.casefold(): row.repository for row in self.repositories}

    def find(self, name: str) -> str | None:
        """The name as Devin writes it."""
        return self._names.get(name.casefold())

    def nearest(self, name: str) -> str | None:
        """The only one of this name with another owner, or else the most similar one, if any."""
        wanted = name.casefold()
        of_others = [other for other in self._names if _last_part(other) == _last_part(wanted)]
        match = of_others[0] if len(of_others) == 1 else closest(wanted, list(self._names))
        return self._names[match] if match else None


def _last_part(name: str) -> str:
    return name.rsplit("/", 1)[-1]


async def repository_index(ctx: Context, *, fresh: bool = False) -> RepositoryIndex:
    """The cached repositories, or with `fresh` those of a new request."""
    reading = ctx.detached().with_timeout(CHECK_SECONDS)

    async def load() -> RepositoryIndex:
        walk = await read_pages(
            reading, list_repositories, ReachableRepository, max_pages=MAX_INDEX_PAGES
        )
        return RepositoryIndex(walk.items, is_complete=not (walk.has_more or walk.is_cut_off))

    return await ctx.cache.get(ctx.key.tenant, REPOSITORIES.name, load, fresh=fresh)


async def resolve_repository(ctx: Context, name: str) -> str:
    """The name as Devin writes it. Raises NotFound if Devin certainly cannot reach the repository.

    The name stays as it is where that cannot be known: on v1, without the permission or the beta
    route, in a very long list, and while Devin does not answer.
    """
    if not ctx.has(list_repositories):
        return name
    try:
        index = await repository_index(ctx)
        if index.find(name) is None and index.is_complete:  # it may have been granted just now
            index = await repository_index(ctx, fresh=True)
    except BadKey:
        raise
    except DevinError:
        return name
    found = index.find(name)
    if found is not None or not index.is_complete:
        return found or name
    nearest = index.nearest(name)
    hint = f"; did you mean {quote_line(nearest)}?" if nearest else "."
    raise NotFound(
        f"Devin cannot reach the repository {quote_line(name)}{hint}",
        f"Nothing was started. devin_list_repositories lists what it can reach. {WHERE_GRANTED}",
    )


@resource("devin://repositories", tool=list_repositories)
async def all_repositories(ctx: Context) -> ResourceContent:
    """The repositories that Devin can reach as one table."""
    index = await repository_index(ctx)
    rows = [
        (
            row.repository,
            row.language,
            one_line(row.description, MAX_CELL_CHARS),
            (row.updated_at or "")[:10],
        )
        for row in sorted(index.repositories, key=lambda row: row.repository.casefold())
    ]
    if not rows:
        return ResourceContent("# Repositories\n\nDevin can reach none yet.", WHERE_GRANTED)
    heads = ("Repository", "Language", "Description", "Updated")
    lines, left_out = table(heads, rows, ctx.policy.result_limit)
    text = f"# Repositories\n\n{lines}"
    if left_out or not index.is_complete:
        return ResourceContent(
            text, "More do not fit here. Page through them with devin_list_repositories."
        )
    return ResourceContent(text, "Name one in repository of devin_delegate_task.")


@completes("repository", tool=list_repositories)
async def repository_candidates(ctx: Context, _: Mapping[str, str]) -> list[Candidate]:
    index = await repository_index(ctx)
    return [Candidate(row.repository, (_last_part(row.repository),)) for row in index.repositories]
