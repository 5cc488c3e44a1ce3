"""Repositories that Devin can reach: a list, a resource, completion, and the check before a
delegation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

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
from devin_mcp.operations.parameters import repository_name
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


def _as_named(path: str) -> str:
    """As the parameter `repository` takes it, also if Devin writes an address."""
    try:
        return repository_name(path)
    except PydanticCustomError:
        return path


class ReachableRepository(ApiModel):
    """A repository that Devin can reach (v3.md §2; under /v3beta1)."""

    repository: Annotated[ShortText, AfterValidator(_as_named)] = Field(
        validation_alias="repo_path"
    )
    description: ShortText | None = Field(None, validation_alias="repo_description")
    language: ShortText | None = Field(None, validation_alias="repo_language")
    updated_at: Time | None = Field(None, validation_alias="last_updated_at")


class Repositories(Page):
    rows = "repositories"
    hint = "name narrows the list. Give one as repository of devin_delegate_task."
    empty = f"Devin reaches no repository yet. {WHERE_GRANTED}"

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
        is_cut_off=page.is_cut_off,
        empty=f"Devin reaches no such repository. {WHERE_GRANTED}" if name else None,
    )


@dataclass(frozen=True)
class RepositoryIndex:
    """The repositories of a key, as they were a moment ago."""

    repositories: list[ReachableRepository]
    is_complete: bool
    """False if there are more."""

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """Without the case of letters, which most hosts ignore -> as Devin writes it."""
        names: dict[str, list[str]] = {}
        for row in self.repositories:
            names.setdefault(row.repository.casefold(), []).append(row.repository)
        return names

    def find(self, name: str) -> str | None:
        """The name as Devin writes it; as it is given if that is one of several spellings."""
        spellings = self._names.get(name.casefold(), [])
        return spellings[0] if len(set(spellings)) == 1 else name if spellings else None

    def lacks(self, name: str) -> bool:
        """True if Devin certainly cannot reach it. An empty list says nothing."""
        return self.is_complete and bool(self.repositories) and self.find(name) is None

    def nearest(self, name: str) -> str | None:
        """The only one of this name with another owner, or else the most similar one, if any."""
        wanted = name.casefold()
        of_others = [other for other in self._names if _last_part(other) == _last_part(wanted)]
        match = of_others[0] if len(of_others) == 1 else closest(wanted, list(self._names))
        return self._names[match][0] if match else None


def _last_part(name: str) -> str:
    return name.rsplit("/", 1)[-1]


async def repository_index(ctx: Context, *, fresh: bool = False) -> RepositoryIndex:
    """The cached repositories, or with `fresh` those of a new request."""
    reading = ctx.detached()

    async def load() -> RepositoryIndex:
        walk = await read_pages(
            reading, list_repositories, ReachableRepository, max_pages=MAX_INDEX_PAGES
        )
        return RepositoryIndex(walk.items, is_complete=not (walk.has_more or walk.is_cut_off))

    return await ctx.cache.get(ctx.key.tenant, REPOSITORIES.name, load, fresh=fresh)


async def resolve_repository(ctx: Context, name: str) -> str:
    """The name as Devin writes it. Raises NotFound if Devin certainly cannot reach the repository.

    The name stays as it is where that cannot be known: on v1, where the list is hidden from the
    caller, without the permission or the beta route, in a very long list, and while Devin is slow.
    """
    if not ctx.offers(list_repositories):
        return name
    try:
        async with asyncio.timeout(min(CHECK_SECONDS, ctx.deadline.seconds_left())):
            index = await repository_index(ctx)
            if index.lacks(name):  # access may have been granted a moment ago
                index = await repository_index(ctx, fresh=True)
    except BadKey:
        raise
    except (DevinError, TimeoutError):
        return name
    if not index.lacks(name):
        return index.find(name) or name
    nearest = index.nearest(name)
    hint = f"; did you mean {quote_line(nearest)}?" if nearest else "."
    raise NotFound(
        f"Devin cannot reach the repository {quote_line(name)}{hint}",
        "Nothing was started. devin_list_repositories lists what it can reach. To try all the "
        f"same, leave repository out and name it in the prompt. {WHERE_GRANTED}",
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
