"""Resources: list, templates, read, subscribe. Other resources are left to the SDK."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from mcp.server import MCPServer
from mcp.types import (
    Annotations,
    EmptyResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplate,
    SubscribeRequestParams,
    TextResourceContents,
)
from mcp.types import Resource as McpResource

from devin_mcp.errors import DevinError, Invalid, NotFound
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.printable import printable, quote_line
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.browsing import Entries, Resource, ResourceEntry
from devin_mcp.operations.docstrings import docstring_of
from devin_mcp.operations.matching import slug
from devin_mcp.server.apps.extension import app_resources, read_app
from devin_mcp.server.call_log import add_subject_ids
from devin_mcp.server.context import CallerContext, RequestContext, ServerState, current_caller
from devin_mcp.server.pagination import ListSource, SortedItems, paginate
from devin_mcp.server.resource_uris import expand_uri, match_uri, variable_names
from devin_mcp.server.skills import read_skill, skill_resources
from devin_mcp.server.visibility import VisibleTools

MARKDOWN = "text/markdown"
SORT_CHARS = 60
MAX_SECRET_CHARS = 10_000
MAX_RESOURCE_CHARS = 1_000_000
"""Characters of a resource that are sent; the rest is counted."""
USER_AND_ASSISTANT = Annotations(audience=["user", "assistant"])


class ResourceHandlers:
    """The handlers of `resources/*`."""

    def __init__(self, server: MCPServer[ServerState]) -> None:
        self._server = server

    async def list(
        self, ctx: RequestContext, params: PaginatedRequestParams
    ) -> ListResourcesResult:
        caller = current_caller.get()
        page = await paginate(_indexes(caller.visible), _sources(caller), params.cursor)
        others = [] if params.cursor else await self._server.list_resources()
        if not params.cursor:
            others += skill_resources(ctx, caller.visible) + app_resources(ctx, caller)
        return ListResourcesResult(
            resources=page.items + others,
            next_cursor=page.next_cursor,
            ttl_ms=caller.cache_ttl_ms if page.is_complete else 0,
            cache_scope="private",
        )

    async def templates(
        self, _: RequestContext, __: PaginatedRequestParams
    ) -> ListResourceTemplatesResult:
        visible = current_caller.get().visible
        own = [
            ResourceTemplate(
                uri_template=resource.uri,
                name=resource.name,
                title=resource.title,
                description=_description(resource, visible),
                mime_type=MARKDOWN,
                annotations=USER_AND_ASSISTANT,
            )
            for resource in visible.resources
            if resource.is_template
        ]
        return ListResourceTemplatesResult(
            resource_templates=[*own, *await self._server.list_resource_templates()]
        )

    async def read(
        self, _: RequestContext, params: ReadResourceRequestParams
    ) -> ReadResourceResult | None:
        """None for a URI that is not ours."""
        caller, uri = current_caller.get(), str(params.uri)
        match = match_uri(uri, caller.visible)
        if match is None:
            return read_skill(uri, caller.visible) or read_app(uri, caller)
        resource = match.resource
        add_call_facts(resource=resource.uri)
        try:
            arguments = match.arguments
            add_subject_ids(arguments)
            content = await resource.read(caller.context(), **arguments)
        except NotFound:
            if not resource.is_template:  # what the list would show is missing, not the list
                raise
            tool = f", or {resource.tool.tool_name}" if resource.tool else ""
            advice = f"See resources/list{tool}."
            raise NotFound(f"Unknown resource: {quote_line(uri)}.", advice) from None
        except Invalid as error:
            message = f"Unknown resource: {quote_line(uri)}. {error.message}"
            raise Invalid(message, "", status=error.status) from None
        # Redacted before it is cut: half a secret would not be recognized.
        text = redactor.clean(content.text[: MAX_RESOURCE_CHARS + MAX_SECRET_CHARS])
        text = text[:MAX_RESOURCE_CHARS]
        if len(content.text) > MAX_RESOURCE_CHARS:
            tool = f"; {resource.tool.tool_name} reads on" if resource.tool else ""
            cut = f"Cut at character {MAX_RESOURCE_CHARS} of {len(content.text)}{tool}."
            text = f"{text}…\n\n{caller.visible.text(cut)}"
        if next_step := printable(caller.visible.text(content.next)):
            text = f"{text}\n\nNext: {next_step}"
        return ReadResourceResult(
            contents=[TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text)],
            ttl_ms=0 if resource.volatile else caller.cache_ttl_ms,
            cache_scope="private",
        )

    async def subscribe(self, ctx: RequestContext, params: SubscribeRequestParams) -> EmptyResult:
        """For clients of older revisions. Raises NotFound or Invalid for what does not exist."""
        caller, uri = current_caller.get(), str(params.uri)
        match = match_uri(uri, caller.visible)
        if match is None:
            if uri not in {str(other.uri) for other in await self._server.list_resources()}:
                raise NotFound(f"Unknown resource: {quote_line(uri)}.", "See resources/list.")
        elif match.resource.is_template:
            try:
                await self.read(ctx, ReadResourceRequestParams(uri=uri))
            except (NotFound, Invalid):
                raise
            except DevinError:
                pass  # it may exist, and is watched from when it can be read
        caller.state.subscriptions.subscribe_uri(caller.identity.key, uri)
        return EmptyResult()


def _indexes(visible: VisibleTools) -> list[Callable[[], McpResource]]:
    """The resources without placeholders."""

    def build(resource: Resource) -> McpResource:
        return McpResource(
            uri=resource.uri,
            name=resource.name,
            title=resource.title,
            description=_description(resource, visible),
            mime_type=MARKDOWN,
            annotations=USER_AND_ASSISTANT,
        )

    return [partial(build, resource) for resource in visible.resources if not resource.is_template]


def _sources(caller: CallerContext) -> list[ListSource[Any, McpResource]]:
    """The records of each template whose list tool is visible."""
    return [
        ListSource(
            partial(resource.entries.load, caller.context()),
            partial(_entry_items, resource, resource.entries),
        )
        for resource in caller.visible.resources
        if resource.entries is not None
        and resource.list_tool is not None
        and caller.visible.has(resource.list_tool)
    ]


def _entry_items(resource: Resource, entries: Entries, records: Any) -> SortedItems[McpResource]:
    (variable,) = variable_names(resource)

    def build(entry: ResourceEntry) -> McpResource:
        return McpResource(
            uri=expand_uri(resource, **{variable: entry.id}),
            name=slug(entry.title) or entry.id,
            title=printable(entry.title),
            description=quote_line(entry.description) if entry.description else None,
            mime_type=MARKDOWN,
            size=entry.size,
            annotations=Annotations(
                audience=["user", "assistant"], last_modified=_timestamp(entry.modified)
            ),
        )

    return (
        ((entry.title.casefold()[:SORT_CHARS], entry.id), partial(build, entry))
        for entry in entries.build(records)
    )


def _timestamp(text: str | None) -> str | None:
    """None for a text that is no timestamp: hosts parse it."""
    return text if text and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) else None


def _description(resource: Resource, visible: VisibleTools) -> str:
    docstring = docstring_of(resource.read)
    if resource.tool is None:
        return docstring
    return visible.text(f"{docstring} The tool {resource.tool.tool_name} shows the same.")
