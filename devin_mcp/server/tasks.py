"""Tasks (SEP-2663): a client that declares them goes on waiting by itself, and is called back.

Nothing of a task is on the server: its id says all, and each request has the caller's own key.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mcp import MCPError
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolResult,
    RequestParams,
)
from pydantic import Field

from devin_mcp.errors import Broken, DevinError, ReplyLost
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.printable import printable
from devin_mcp.operations.context import Context
from devin_mcp.operations.messages import send_message
from devin_mcp.operations.tasks import MIN_POLL_SECONDS, TaskState, done_before, look_at_task
from devin_mcp.operations.waiting.deferred import (
    LIFETIME_SECONDS,
    MAX_ID_CHARS,
    DeferredWait,
    unknown_task,
)
from devin_mcp.operations.waiting.question import Question
from devin_mcp.operations.waiting.tool import wait_for_sessions
from devin_mcp.server.arguments import validate_arguments
from devin_mcp.server.call_log import to_devin_error
from devin_mcp.server.client_extensions import declared_extension
from devin_mcp.server.confirmation import FIRST_STATELESS_REVISION, takes_forms
from devin_mcp.server.context import CallerContext, RequestContext, current_caller
from devin_mcp.server.rendering import error_text, render, render_error
from devin_mcp.server.schema import arguments_model
from devin_mcp.server.tool_schemas import declared_schemas

TASKS = "io.modelcontextprotocol/tasks"
STARTED = "Devin is at work"
ANSWER = "answer"
"""The only field of a form."""
ACKNOWLEDGED = {"resultType": "complete"}


def declares_tasks(ctx: RequestContext) -> bool:
    """Whether the client keeps tasks. It says so with each request."""
    is_modern = ctx.protocol_version >= FIRST_STATELESS_REVISION
    return is_modern and declared_extension(ctx, TASKS) is not None


def created_task(wait: DeferredWait) -> dict[str, Any]:
    """The answer to a call that goes on as a task."""
    add_call_facts(outcome="deferred")
    return _task(wait, "working", "task", TaskState(STARTED, MIN_POLL_SECONDS))


class TaskParams(RequestParams):
    task_id: str = Field(alias="taskId", max_length=MAX_ID_CHARS)


class TaskUpdateParams(TaskParams):
    input_responses: dict[str, Any] = Field(default={}, alias="inputResponses")
    """Key of a question -> the person's answer to its form."""


class TasksExtension(Extension):
    """`tasks/get`, `tasks/update` and `tasks/cancel`."""

    identifier = TASKS

    def methods(self) -> Sequence[MethodBinding]:
        revisions = frozenset({FIRST_STATELESS_REVISION})
        return [
            MethodBinding("tasks/get", TaskParams, self._get, revisions),
            MethodBinding("tasks/update", TaskUpdateParams, self._update, revisions),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, revisions),
        ]

    async def _get(self, ctx: RequestContext, params: TaskParams) -> dict[str, Any]:
        wait, caller = _wait_of(ctx, params), current_caller.get()
        context = caller.context()
        try:
            state = await look_at_task(context, wait)
            if state.result is None:
                return _task(wait, "working", "complete", state)
            if state.question is not None and _asks_person(ctx, caller, state.question):
                form = {"inputRequests": {state.question.key: _form(state.question)}}
                return _task(wait, "input_required", "complete", state) | form
            result, _ = render(state.result, caller.visible, context.policy.result_limit)
        except Exception as problem:  # noqa: BLE001 - named in the log, and the model gets an error
            state = TaskState("The wait has failed")
            result = render_error(to_devin_error(problem), caller.visible)
        return _task(wait, "completed", "complete", state) | {"result": _as_json(result)}

    async def _update(self, ctx: RequestContext, params: TaskUpdateParams) -> dict[str, Any]:
        """The answers of a person. Words go to Devin; without any, the model gets the question."""
        wait, caller = _wait_of(ctx, params), current_caller.get()
        context = caller.context()
        try:
            state = await look_at_task(context, wait)
            if not state.is_current:
                raise Broken(f"{state.message}.", "Nothing was sent. Answer again in a minute.")
            question = state.question
            answer = params.input_responses.get(question.key) if question else None
            if question is not None and isinstance(answer, dict):
                await _settle(context, caller, question, _words_of(answer))
        except Exception as problem:  # noqa: BLE001 - named in the log, and the client gets an error
            text = error_text(to_devin_error(problem), caller.visible)
            raise MCPError(INTERNAL_ERROR, text) from None
        return ACKNOWLEDGED

    async def _cancel(self, ctx: RequestContext, params: TaskParams) -> dict[str, Any]:
        """The wait ends on the client's side. A session goes on: devin_terminate_session ends it,
        and asks first.
        """
        _wait_of(ctx, params)
        return ACKNOWLEDGED


async def _settle(ctx: Context, caller: CallerContext, question: Question, words: str) -> None:
    """Send the words to Devin, once. Without any, the model gets the question."""
    settled, tenant = caller.state.settled, caller.identity.key.tenant
    can_send = words and caller.visible.has(send_message)
    arguments = _arguments_of(caller, question, words) if can_send else {}
    if not settled.settle(tenant, question) or not can_send:
        return
    add_call_facts(operation="send_message", effect="change")

    async def send() -> None:
        try:
            await send_message(ctx, **arguments)
        except BaseException as problem:
            if not isinstance(problem, ReplyLost | Broken):  # then it may have arrived
                settled.reopen(tenant, question)
            raise

    # The client may leave at any time; the person's words are sent all the same.
    await settled.finish(send())


def _arguments_of(caller: CallerContext, question: Question, words: str) -> dict[str, Any]:
    """As the tool checks them. Raises Invalid."""
    return validate_arguments(
        {"session_id": question.session_id, "message": words},
        declared_schemas(send_message)["input"],
        arguments_model(send_message.function),
        caller.visible.capabilities,
    )


def _asks_person(ctx: RequestContext, caller: CallerContext, question: Question) -> bool:
    """Whether a person gets the question first."""
    return (
        caller.state.questions == "person"
        and takes_forms(ctx.session.client_capabilities)
        and caller.visible.has(send_message)
        and not caller.state.settled.has(caller.identity.key.tenant, question)
    )


def _form(question: Question) -> dict[str, Any]:
    field = {"type": "string", "title": "Answer for Devin", "minLength": 1}
    schema = {"type": "object", "properties": {ANSWER: field}, "required": [ANSWER]}
    params = {"mode": "form", "message": question.text, "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}


def _words_of(answer: dict[str, Any]) -> str:
    """What the person wrote; empty if they declined or closed the form."""
    content = answer.get("content")
    if answer.get("action") != "accept" or not isinstance(content, dict):
        return ""
    words = content.get(ANSWER)
    return words.strip() if isinstance(words, str) else ""


def check_request(ctx: RequestContext, params: TaskParams) -> None:
    """Raises MCPError for a client without tasks, and for a header that names another task."""
    require_client_extension(ctx, TASKS)
    headers = getattr(ctx.request, "headers", None)
    name = decode_header_value(headers.get(MCP_NAME_HEADER)) if headers is not None else None
    if name is not None and name != params.task_id:  # some clients leave it out
        raise MCPError(HEADER_MISMATCH, "The Mcp-Name header does not match params.taskId.")


def _wait_of(ctx: RequestContext, params: TaskParams) -> DeferredWait:
    """The wait of a task. Raises MCPError for an unknown id, and as `check_request` does."""
    check_request(ctx, params)
    visible = current_caller.get().visible
    try:
        wait = DeferredWait.parse(params.task_id)
        done_before(wait)
        if not visible.has(wait_for_sessions):
            raise unknown_task()
    except DevinError as error:
        raise MCPError(INVALID_PARAMS, error_text(error, visible)) from None
    add_call_facts(devin_session_id=wait.session_ids[0])
    return wait


def _task(wait: DeferredWait, status: str, kind: str, state: TaskState) -> dict[str, Any]:
    return task_as_json(wait.id, wait.began_at, status, kind, state)


def task_as_json(
    task_id: str, began_at: float, status: str, kind: str, state: TaskState
) -> dict[str, Any]:
    """A task as the protocol has it. `kind` is task in the answer that creates it, else complete;
    `began_at` is in Unix seconds.
    """
    return {
        "resultType": kind,
        "taskId": task_id,
        "status": status,
        "statusMessage": printable(state.message),
        "createdAt": _timestamp(datetime.fromtimestamp(began_at, UTC)),
        "lastUpdatedAt": _timestamp(datetime.now(UTC)),
        "ttlMs": LIFETIME_SECONDS * 1000,
        "pollIntervalMs": int(state.poll_seconds * 1000),
    }


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_json(result: CallToolResult) -> dict[str, Any]:
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)
