"""From an operation to an MCP tool: name, schemas, annotations, and the way a call takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    Tool,
    ToolAnnotations,
)
from pydantic import BaseModel

from devin_mcp.observability.log import add_call_facts
from devin_mcp.operations import Operation
from devin_mcp.operations.attachments import Download
from devin_mcp.operations.catalog import DESTROY, READ
from devin_mcp.operations.results import Result
from devin_mcp.operations.waiting.pollers import Pollers
from devin_mcp.server.arguments import checked
from devin_mcp.server.call_log import named
from devin_mcp.server.confirmation import consent, question_about
from devin_mcp.server.context import Asked, Caller, ServerState, caller_of
from devin_mcp.server.rendering import present, present_error
from devin_mcp.server.schema import (
    arguments_model,
    injected_parameters,
    input_schema,
    output_schema,
    type_hints,
)
from devin_mcp.server.visibility import VisibleTools


@dataclass(frozen=True)
class DevinTool:
    """An operation as one caller sees it. The SDK's own tools drop misspelt arguments in silence, a spending cap among
    them, and their argument errors contain what was given.
    """

    operation: Operation[Any, Any]
    listed: Tool
    """As `tools/list` has it."""
    arguments: type[BaseModel]
    injected: Mapping[str, type]

    @classmethod
    def of(cls, operation: Operation[Any, Any], view: VisibleTools) -> DevinTool:
        arguments = arguments_model(operation.function)
        schema = input_schema(arguments, view.powers)
        listed = Tool(
            name=operation.tool_name,
            title=operation.operation_id.replace("_", " ").capitalize(),
            description=_description(operation, view),
            input_schema=schema,
            output_schema=_output(operation),
            annotations=_annotations(operation, schema),
        )
        return cls(operation, listed, arguments, injected_parameters(operation.function))

    async def run(
        self, caller: Caller, given: dict[str, Any], context: Context[Any, Any]
    ) -> CallToolResult | InputRequiredResult:
        """Never raises for what can go wrong with Devin: the model gets an answer it can act on."""
        operation = self.operation
        add_call_facts(
            tool=self.listed.name, operation=operation.operation_id, effect=operation.effect.value
        )
        try:
            arguments = checked(given, self.listed.input_schema, self.arguments)
            add_call_facts(devin_session_id=arguments.get("session_id"))
            if (stake := operation.stake) is not None:
                (thing,) = arguments.values()
                question = await consent(
                    context, caller.app.confirm, lambda: question_about(caller, stake, thing)
                )
                if question is not None:
                    return question
            devin = caller.devin(_teller(context))
            injected = {
                name: caller.app.following if kind is Pollers else caller.house
                for name, kind in self.injected.items()
            }
            result: Result = await operation(devin, **injected, **arguments)
            add_call_facts(
                devin_session_id=getattr(result, "session_id", arguments.get("session_id"))
            )
            return present(result, caller.view, caller.house.result_limit)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is named in the log and the model gets an answer
            return present_error(named(error), caller.view)


@lru_cache(maxsize=256)
def tools_of(view: VisibleTools) -> Mapping[str, DevinTool]:
    """By name, in the order of the catalogue."""
    return {one.tool_name: DevinTool.of(one, view) for one in view.operations}


class Tools:
    """The handlers of `tools/*`: every caller has their own. What is not ours is left to the SDK."""

    def __init__(self, server: MCPServer[ServerState]) -> None:
        self._server = server

    async def list(self, ctx: Asked, _: PaginatedRequestParams) -> ListToolsResult:
        ours = [one.listed for one in tools_of(caller_of(ctx).view).values()]
        return ListToolsResult(tools=ours + await self._server.list_tools())

    async def call(
        self, ctx: Asked, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult | None:
        """None for what is not ours, or not this caller's: the SDK knows no such tool."""
        caller = caller_of(ctx)
        tool = tools_of(caller.view).get(params.name)
        if tool is None:
            return None
        context: Context[Any, Any] = Context(
            request_context=ctx, mcp_server=self._server, input_params=params
        )
        return await tool.run(caller, params.arguments or {}, context)


def _teller(context: Context[Any, Any]) -> Callable[[str], Awaitable[None]]:
    """Progress notifications for who asked for them; a courtesy, so their failure is nobody's."""
    told = count(1)

    async def tell(sentence: str) -> None:
        with suppress(Exception):
            await context.report_progress(next(told), message=sentence)

    return tell


def _description(operation: Operation[Any, Any], view: VisibleTools) -> str:
    """What the function says, and where the same can be browsed."""
    twins = [one.uri for one in view.resources if one.tool is operation]
    also = f" Resource: {', '.join(twins)}" if twins else ""
    return view.text(" ".join((operation.function.__doc__ or "").split())) + also


def _output(operation: Operation[Any, Any]) -> dict[str, Any] | None:
    model = type_hints(operation.function)["return"]
    return None if model is Download else output_schema(model)


def _annotations(operation: Operation[Any, Any], schema: dict[str, Any]) -> ToolAnnotations:
    """Of what this caller sees: downloading is a read until it can also write a local file."""
    reads = operation.effect is READ and "save_to" not in schema["properties"]
    return ToolAnnotations(
        read_only_hint=reads,
        destructive_hint=operation.effect is DESTROY,
        idempotent_hint=operation.idempotent and (reads or operation.effect is not READ),
        open_world_hint=True,
    )
