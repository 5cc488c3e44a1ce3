"""From an operation to an MCP tool: name, schemas, annotations, and the way a call takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, PrivateAttr

from devin_mcp.log import note
from devin_mcp.operations import Operation
from devin_mcp.operations.attachments import Download
from devin_mcp.operations.declare import DESTROY, READ
from devin_mcp.operations.fit import Result
from devin_mcp.operations.follow import Following
from devin_mcp.server.app import caller_of
from devin_mcp.server.arguments import checked
from devin_mcp.server.calls import named
from devin_mcp.server.confirm import consent, question_about
from devin_mcp.server.present import present, present_error
from devin_mcp.server.schema import arguments_model, brought_to, hints_of, input_schema, output_schema
from devin_mcp.server.visibility import View


class DevinTool(Tool):
    """The SDK's tool with our own way of a call: its argument errors would contain what was given, and it drops
    misspelt arguments in silence, a spending cap among them.
    """

    _operation: Operation[Any, Any] = PrivateAttr()
    _arguments: type[BaseModel] = PrivateAttr()
    _brought: dict[str, type] = PrivateAttr()
    _view: View = PrivateAttr()

    @classmethod
    def of(cls, operation: Operation[Any, Any], view: View) -> DevinTool:
        arguments = arguments_model(operation.function)
        schema = input_schema(arguments, view.powers)
        tool = cls(
            fn=operation.function,
            name=operation.tool_name,
            title=operation.operation_id.replace("_", " ").capitalize(),
            description=_description(operation, view),
            parameters=schema,
            fn_metadata=FuncMetadata(arg_model=ArgModelBase, output_schema=_output(operation)),
            is_async=True,
            annotations=_annotations(operation, schema),
        )
        tool._operation, tool._arguments, tool._view = operation, arguments, view
        tool._brought = brought_to(operation.function)
        return tool

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: ARG002 - the SDK passes it
    ) -> CallToolResult | InputRequiredResult:
        """Never raises for what can go wrong with Devin: the model gets an answer it can act on."""
        operation = self._operation
        caller = caller_of(context.request_context)
        note(tool=self.name, operation=operation.operation_id, effect=operation.effect.value)
        try:
            given = checked(arguments, self.parameters, self._arguments)
            note(devin_session_id=given.get("session_id"))
            if (stake := operation.stake) is not None:
                (thing,) = given.values()
                question = await consent(context, caller.confirm, lambda: question_about(caller, stake, thing))
                if question is not None:
                    return question
            devin = caller.devin(_teller(context))
            brought = {name: caller.following if kind is Following else caller.house for name, kind in self._brought.items()}
            result: Result = await operation(devin, **brought, **given)
            note(devin_session_id=getattr(result, "session_id", given.get("session_id")))
            return present(result, self._view, caller.house.result_limit)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is named in the log and the model gets an answer
            return present_error(named(error), self._view)


def _teller(context: Context[Any, Any]) -> Callable[[str], Awaitable[None]]:
    """Progress notifications for who asked for them; a courtesy, so their failure is nobody's."""
    told = count(1)

    async def tell(sentence: str) -> None:
        with suppress(Exception):
            await context.report_progress(next(told), message=sentence)

    return tell


def _description(operation: Operation[Any, Any], view: View) -> str:
    """What the function says, and where the same can be browsed."""
    twins = [one.uri for one in view.resources if one.twin is operation]
    also = f" Resource: {', '.join(twins)}" if twins else ""
    return view.text(" ".join((operation.function.__doc__ or "").split())) + also


def _output(operation: Operation[Any, Any]) -> dict[str, Any] | None:
    model = hints_of(operation.function)["return"]
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
