"""The suite's fixtures of the tasks extension: their tasks live in this process.

What a request must have, and what a task looks like, is the server's own (server/tasks.py).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, require_client_extension
from mcp.types import (
    INTERNAL_ERROR,
    CallToolRequestParams,
    CallToolResult,
    InputRequest,
    InputRequiredResult,
    TextContent,
)

from devin_mcp.operations.tasks import TaskState
from devin_mcp.server.context import RequestContext
from devin_mcp.server.handlers import low_level_server
from devin_mcp.server.tasks import (
    ACKNOWLEDGED,
    TASKS,
    TaskParams,
    TaskUpdateParams,
    check_request,
    declares_tasks,
    task_as_json,
)
from tests.third_party.asking import Json, form

Handler = Callable[[RequestContext, Any], Awaitable[Any]]

FAILING_SECONDS = 1.0
ASKS_FIRST = "test_tool_with_task"
ONLY_AS_TASKS = {"failing_job", ASKS_FIRST}


@dataclass
class Task:
    """A task that ends after `seconds`, once its questions are answered."""

    id: str
    seconds: float
    end: Json
    """`result` or `error`, as `tasks/get` shows it."""
    questions: dict[str, InputRequest] = field(default_factory=dict)
    is_cancelled: bool = False
    began_at: float = field(default_factory=time.time)

    def as_json(self, kind: str = "complete") -> Json:
        status, more = self._status() if kind == "complete" else ("working", {})
        return task_as_json(self.id, self.began_at, status, kind, TaskState(status)) | more

    def _status(self) -> tuple[str, Json]:
        if self.is_cancelled:
            return "cancelled", {}
        if self.questions:
            asked = {key: _as_json(request) for key, request in self.questions.items()}
            return "input_required", {"inputRequests": asked}
        if time.time() < self.began_at + self.seconds:
            return "working", {}
        return ("failed" if "error" in self.end else "completed"), self.end


def install(mcp: MCPServer[Any]) -> None:
    """Add the tools, and let their calls become tasks where the client keeps tasks."""
    _add_tools(mcp)
    tasks: dict[str, Task] = {}
    ids = (f"fixture-{number}" for number in count(1))
    server = low_level_server(mcp)

    def replace(method: str, params: type[Any], make: Callable[[Handler], Handler]) -> None:
        replaced = server.get_request_handler(method)
        assert replaced is not None
        server.add_request_handler(method, params, make(replaced.handler))

    def on_call(original: Handler) -> Handler:
        async def call(ctx: RequestContext, params: CallToolRequestParams) -> Any:
            if params.name in ONLY_AS_TASKS:
                require_client_extension(ctx, TASKS)
            if params.name in TASK_TOOLS and declares_tasks(ctx):
                task = TASK_TOOLS[params.name](next(ids), params.arguments or {})
            else:
                result = await original(ctx, params)
                is_done = not isinstance(result, InputRequiredResult)
                if not (is_done and params.name == ASKS_FIRST):
                    return result
                task = Task(next(ids), 0, {"result": _as_json(result)})
            tasks[task.id] = task
            return task.as_json("task")

        return call

    def on_task(act: Callable[[Task, Any], Json]) -> Callable[[Handler], Handler]:
        def make(original: Handler) -> Handler:
            async def handle(ctx: RequestContext, params: TaskParams) -> Any:
                task = tasks.get(params.task_id)
                if task is None:
                    return await original(ctx, params)
                check_request(ctx, params)
                return act(task, params)

            return handle

        return make

    replace("tools/call", CallToolRequestParams, on_call)
    replace("tasks/get", TaskParams, on_task(lambda task, _: task.as_json()))
    replace("tasks/update", TaskUpdateParams, on_task(_answer))
    replace("tasks/cancel", TaskParams, on_task(_cancel))


def _answer(task: Task, params: TaskUpdateParams) -> Json:
    for key in params.input_responses:
        task.questions.pop(key, None)
    return ACKNOWLEDGED


def _cancel(task: Task, _: TaskParams) -> Json:
    task.is_cancelled = task.is_cancelled or task.as_json()["status"] in {
        "working",
        "input_required",
    }
    return ACKNOWLEDGED


def _text(text: str, *, is_error: bool = False) -> Json:
    content = TextContent(type="text", text=text)
    return {"result": _as_json(CallToolResult(content=[content], is_error=is_error))}


def _as_json(model: Any) -> Json:
    data: Json = model.model_dump(by_alias=True, mode="json", exclude_none=True)
    return data


def _slow_compute(task_id: str, arguments: Json) -> Task:
    return Task(task_id, arguments["seconds"], _text("computed"))


def _failing_job(task_id: str, _: Json) -> Task:
    return Task(task_id, FAILING_SECONDS, _text("failed", is_error=True))


def _protocol_error_job(task_id: str, _: Json) -> Task:
    error = {"code": INTERNAL_ERROR, "message": "crashed"}
    return Task(task_id, 0, {"error": error})


def _confirm_delete(task_id: str, arguments: Json) -> Task:
    question = form(f"Delete {arguments['filename']}?", confirm="boolean")
    return Task(task_id, 0, _text("deleted"), {f"{task_id}-confirm": question})


def _multi_input(task_id: str, _: Json) -> Task:
    questions: dict[str, InputRequest] = {
        f"{task_id}-{name}": form(f"{name}?", "name") for name in ("first", "second")
    }
    return Task(task_id, 0, _text("both answered"), questions)


TASK_TOOLS: dict[str, Callable[[str, Json], Task]] = {
    "slow_compute": _slow_compute,
    "failing_job": _failing_job,
    "protocol_error_job": _protocol_error_job,
    "confirm_delete": _confirm_delete,
    "multi_input": _multi_input,
}


def _add_tools(mcp: MCPServer[Any]) -> None:
    """The tools as clients without tasks call them."""

    @mcp.tool()
    def greet(name: str) -> str:
        """Greets somebody."""
        return f"Hello, {name}!"

    @mcp.tool()
    async def slow_compute(seconds: float, label: str = "") -> str:
        """Takes its time."""
        await anyio.sleep(seconds)
        return f"computed {label}"

    @mcp.tool()
    def failing_job() -> str:
        """Fails, and is always a task."""
        raise ValueError("failed")

    @mcp.tool()
    def protocol_error_job() -> str:
        """Ends in an error of the protocol."""
        raise ValueError("crashed")

    @mcp.tool()
    def confirm_delete(filename: str) -> str:
        """Asks before it deletes."""
        return f"deleted {filename}"

    @mcp.tool()
    def multi_input() -> str:
        """Asks two things at once."""
        return "both answered"

    @mcp.tool()
    async def test_tool_with_task(ctx: Context[Any, Any]) -> str | InputRequiredResult:
        """Asks for a name, and then becomes a task."""
        response = (ctx.input_responses or {}).get("user_name")
        content = getattr(response, "content", None)
        if not content:
            return InputRequiredResult(input_requests={"user_name": form("Your name?", "name")})
        return f"Hello, {content['name']}!"
