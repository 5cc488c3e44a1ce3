"""Tools: an operation as MCP shows it (name, schemas, annotations), and how a call is executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import count
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context as SdkContext
from mcp.server.session import ServerSession
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    Tool,
    ToolAnnotations,
)

from devin_mcp.errors import NotFound
from devin_mcp.keys import PREFIX_BY_API
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.printable import printable, quote_line
from devin_mcp.operations.capabilities import API_CAPABILITIES, Capability
from devin_mcp.operations.catalog import READ, Operation
from devin_mcp.operations.docstrings import docstring_of
from devin_mcp.operations.results import Truncatable
from devin_mcp.server.apps.extension import app_meta, renders_apps
from devin_mcp.server.arguments import validate_arguments
from devin_mcp.server.call_log import add_subject_ids, to_devin_error
from devin_mcp.server.confirmation import Question, confirm
from devin_mcp.server.context import CallerContext, RequestContext, ServerState, current_caller
from devin_mcp.server.rendering import render, render_error
from devin_mcp.server.schema import Schema, arguments_model, publish
from devin_mcp.server.tasks import created_task, declares_tasks
from devin_mcp.server.tool_schemas import declared_schemas
from devin_mcp.server.visibility import VisibleTools
from devin_mcp.suggest import did_you_mean


@dataclass(frozen=True)
class DevinTool:
    """An operation as one caller sees it.

    The SDK's own tools ignore misspelt arguments silently, a spending cap among them, and their
    argument errors contain what was passed.
    """

    operation: Operation[Any, Any]
    published: Tool
    """As in `tools/list`."""
    parameters: Schema
    """Those of both APIs and all capabilities."""
    capabilities: frozenset[Capability]

    @classmethod
    def of(
        cls, operation: Operation[Any, Any], visible: VisibleTools, *, with_apps: bool
    ) -> DevinTool:
        declared = declared_schemas(operation)
        published = Tool(
            name=operation.tool_name,
            title=operation.title,
            description=_description(operation, visible),
            input_schema=publish(declared["input"], visible.capabilities),
            output_schema=publish(declared["output"], visible.capabilities)
            if operation.structured
            else None,
            annotations=_annotations(operation, visible),
            _meta=_meta(operation, with_apps=with_apps),
        )
        return cls(operation, published, declared["input"], visible.capabilities)

    async def call(
        self,
        caller: CallerContext,
        raw_arguments: dict[str, Any],
        ctx: RequestContext,
        new_sdk_context: Callable[[], SdkContext[Any, Any]],
    ) -> CallToolResult | InputRequiredResult | dict[str, Any]:
        """Run the call. An error becomes a result that the model can act on. A wait becomes a task
        where the client keeps tasks.

        `new_sdk_context` makes what a question to the user needs.
        """
        try:
            arguments = self._validate(raw_arguments)
            confirmation = self.operation.confirmation
            if confirmation is not None:
                question = await confirm(
                    new_sdk_context(),
                    caller.state.confirm,
                    Question(caller, confirmation, arguments),
                )
                if question is not None:
                    return question
            context = caller.context(ProgressReporter(ctx.session))
            if declares_tasks(ctx):
                context = replace(context, defers_waits=True)
            result = await self.operation.function(context, **arguments)
            if isinstance(result, Truncatable) and result.deferred is not None:
                return created_task(result.deferred)
            rendered, whole = render(result, caller.visible, context.policy.result_limit)
            add_subject_ids({**vars(whole), **arguments})
        except Exception as problem:  # noqa: BLE001 - named in the log, and the model gets an error
            return render_error(to_devin_error(problem), caller.visible)
        return rendered

    def _validate(self, raw_arguments: dict[str, Any]) -> dict[str, Any]:
        operation = self.operation
        try:
            arguments = validate_arguments(
                raw_arguments,
                self.parameters,
                arguments_model(operation.function),
                self.capabilities,
            )
        finally:
            add_call_facts(
                tool=self.published.name,
                operation=operation.function.__name__,
                effect=operation.effect.value,
            )
        add_subject_ids(arguments)
        return arguments


@lru_cache(maxsize=256)
def tools_of(visible: VisibleTools, *, with_apps: bool = False) -> Mapping[str, DevinTool]:
    """By name, in the order of the catalog. `with_apps` is for hosts that render apps."""
    return {
        operation.tool_name: DevinTool.of(operation, visible, with_apps=with_apps)
        for operation in visible.operations
    }


def published_tools(visible: VisibleTools) -> list[dict[str, Any]]:
    """The tools as JSON, as `tools/list` returns them."""
    return [
        tool.published.model_dump(mode="json", by_alias=True, exclude_none=True)
        for tool in tools_of(visible).values()
    ]


class ToolHandlers:
    """The handlers of `tools/*`: each caller has its own tools. Other tools are left to the SDK."""

    def __init__(self, server: MCPServer[ServerState]) -> None:
        self._server = server

    async def list(self, ctx: RequestContext, _: PaginatedRequestParams) -> ListToolsResult:
        caller = current_caller.get()
        tools = tools_of(caller.visible, with_apps=renders_apps(ctx, caller))
        own = [tool.published for tool in tools.values()]
        return ListToolsResult(tools=own + await self._server.list_tools())

    async def call(
        self, ctx: RequestContext, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult | dict[str, Any] | None:
        """None for a tool of the SDK."""
        caller = current_caller.get()
        tools = tools_of(caller.visible)
        tool = tools.get(params.name)
        if tool is None:
            if params.name in {sdk_tool.name for sdk_tool in await self._server.list_tools()}:
                return None
            return render_error(_unknown_tool(params.name, caller), caller.visible)
        new_sdk_context = partial(
            SdkContext, request_context=ctx, mcp_server=self._server, input_params=params
        )
        return await tool.call(caller, params.arguments or {}, ctx, new_sdk_context)


def _unknown_tool(name: str, caller: CallerContext) -> NotFound:
    """The error for a name that the caller does not see: of the other API, misspelt or hidden."""
    nothing = "Nothing was done."
    for api in API_CAPABILITIES:
        others = caller.state.visible.of_api(api).restricted(caller.identity.restriction)
        if name in others.names:
            way = f"It takes a key that starts with {PREFIX_BY_API[api]}, or --sandbox {api}."
            return NotFound(f"{name} exists on {api} only.", f"{nothing} {way}")
    hint = did_you_mean(name, list(caller.visible.names)) or "."
    return NotFound(f"There is no tool {quote_line(name)}{hint}", f"{nothing} See tools/list.")


@dataclass(frozen=True)
class ProgressReporter:
    """Sends progress notifications to a client that asked for them. A failure is ignored."""

    session: ServerSession
    numbers: Iterator[int] = field(default_factory=partial(count, 1))

    async def __call__(self, sentence: str) -> None:
        with suppress(Exception):
            await self.session.report_progress(next(self.numbers), None, printable(sentence))


def _description(operation: Operation[Any, Any], visible: VisibleTools) -> str:
    """The function's docstring, and the resources that show the same."""
    uris = [resource.uri for resource in visible.resources if resource.tool is operation]
    also = f" Also {', '.join(uris)}" if uris else ""
    return visible.text(" ".join(docstring_of(operation.function).split())) + also


def _meta(operation: Operation[Any, Any], *, with_apps: bool) -> dict[str, Any] | None:
    """For Claude Code, which loads the schemas of most tools only after a search (hosts.md §2), and
    for hosts that render apps.
    """
    meta = {
        "anthropic/alwaysLoad": operation.is_core,
        "anthropic/searchHint": operation.search_hint,
    }
    meta |= app_meta(operation) if with_apps else {}
    return {name: value for name, value in meta.items() if value} or None


def _annotations(operation: Operation[Any, Any], visible: VisibleTools) -> ToolAnnotations:
    can_write = operation.writes_with in visible.capabilities
    return ToolAnnotations(
        read_only_hint=operation.effect is READ and not can_write,
        # Hosts ask for approval where the server cannot ask itself.
        destructive_hint=operation.confirmation is not None,
        idempotent_hint=operation.idempotent and not can_write,
        open_world_hint=True,
    )
