"""Resources: the list, the templates, and reading. What is not ours is left to the SDK, which knows nothing by itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial

from mcp.server import MCPServer
from mcp.types import (
    Annotations,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplate,
    TextResourceContents,
)
from mcp.types import Resource as ListedResource

from devin_mcp.errors import Invalid, NotFound
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.matching import Resource, ResourceEntry, slug
from devin_mcp.server.context import Asked, ServerState, caller_of
from devin_mcp.server.pagination import ListSource, Rows, paginate
from devin_mcp.server.resource_uris import address, match_uri, variables
from devin_mcp.server.visibility import VisibleTools

MARKDOWN = "text/markdown"

Listed = Callable[[], ListedResource]
"""Made only for what is on the page."""
FOR_BOTH = Annotations(audience=["user", "assistant"])


class Resources:
    """The handlers of `resources/*`."""

    def __init__(self, server: MCPServer[ServerState]) -> None:
        self._server = server

    async def list(self, ctx: Asked, params: PaginatedRequestParams) -> ListResourcesResult:
        caller = caller_of(ctx)
        sources = [
            ListSource(partial(one.entries, caller.devin(), caller.house), partial(_rows, one))
            for one in caller.view.resources
            if one.entries is not None and one.list_tool and caller.view.has(one.list_tool)
        ]
        page = await paginate(_indexes(caller.view), sources, params.cursor)
        others = [] if params.cursor else await self._server.list_resources()
        return ListResourcesResult(
            resources=[make() for make in page.things] + others,
            next_cursor=page.following,
            ttl_ms=caller.kept_for_ms if page.complete else 0,
            cache_scope="private",
        )

    async def templates(self, ctx: Asked, _: PaginatedRequestParams) -> ListResourceTemplatesResult:
        view = caller_of(ctx).view
        ours = [
            ResourceTemplate(
                uri_template=one.uri,
                name=one.read.__name__,
                title=_title(one),
                description=_description(one, view),
                mime_type=MARKDOWN,
                annotations=FOR_BOTH,
            )
            for one in view.resources
            if one.is_template
        ]
        return ListResourceTemplatesResult(
            resource_templates=[*ours, *await self._server.list_resource_templates()]
        )

    async def read(
        self, ctx: Asked, params: ReadResourceRequestParams
    ) -> ReadResourceResult | None:
        """None for what is not ours."""
        caller, uri = caller_of(ctx), str(params.uri)
        target = match_uri(uri, caller.view)
        if target is None:
            return None
        add_call_facts(resource=target.resource.uri)
        try:
            given = target.arguments
            add_call_facts(devin_session_id=given.get("session_id"))
            document = await target.resource.read(caller.devin(), caller.house, **given)
        except NotFound:
            raise NotFound(
                f"Unknown resource: {uri}",
                f"See resources/list, or {target.resource.tool.tool_name}.",
            ) from None
        except Invalid as refusal:
            raise Invalid(
                f"Unknown resource: {uri}. {refusal.what}", "", status=refusal.status
            ) from None
        following = caller.view.text(document.next)
        text = f"{document.text}\n\nNext: {following}" if following else document.text
        return ReadResourceResult(
            contents=[TextResourceContents(uri=uri, mime_type=MARKDOWN, text=redactor.clean(text))],
            ttl_ms=0 if target.resource.lives else caller.kept_for_ms,
            cache_scope="private",
        )


def _indexes(view: VisibleTools) -> list[Listed]:
    def index(one: Resource) -> ListedResource:
        return ListedResource(
            uri=one.uri,
            name=one.read.__name__,
            title=_title(one),
            description=_description(one, view),
            mime_type=MARKDOWN,
            annotations=FOR_BOTH,
        )

    return [partial(index, one) for one in view.resources if not one.is_template]


def _rows(resource: Resource, entries: Sequence[ResourceEntry]) -> Rows[Listed]:
    (variable,) = variables(resource)

    def listed(entry: ResourceEntry) -> ListedResource:
        return ListedResource(
            uri=address(resource, **{variable: entry.id}),
            name=slug(entry.title) or entry.id,
            title=entry.title,
            description=entry.description or None,
            mime_type=MARKDOWN,
            size=entry.size,
            annotations=Annotations(
                audience=["user", "assistant"], last_modified=_time(entry.modified)
            ),
        )

    return (((entry.title.casefold()[:60], entry.id), partial(listed, entry)) for entry in entries)


def _time(text: str | None) -> str | None:
    """Only what is one: hosts parse it."""
    return text if text and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) else None


def _title(resource: Resource) -> str:
    return resource.read.__name__.replace("_", " ").capitalize()


def _description(resource: Resource, view: VisibleTools) -> str:
    return view.text(
        f"{inspect.cleandoc(resource.read.__doc__ or '')} The tool {resource.tool.tool_name} shows the same."
    )
