"""Puts tools, resources, prompts, completion, notices and instructions on the SDK's server, for each caller their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    EmptyResult,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from devin_mcp.errors import Invalid, NotFound
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.redaction import redactor
from devin_mcp.server.call_log import named
from devin_mcp.server.completions import complete
from devin_mcp.server.context import Asked, ServerState, caller_of
from devin_mcp.server.instructions import instructions
from devin_mcp.server.prompts import Prompts
from devin_mcp.server.resources import Resources
from devin_mcp.server.tools import Tools
from devin_mcp.server.visibility import Transport

Handler = Callable[[Any, Any], Awaitable[Any]]


def install(server: MCPServer[ServerState], transport: Transport, *, sandbox: bool = False) -> None:
    """The SDK lists and names only what was registered before the start; ours is live, paged and a caller's own."""
    # Its public way for this is the low-level server, which it keeps in a private attribute (and says so in its examples).
    low = server._lowlevel_server
    tools, resources, prompts = Tools(server), Resources(server), Prompts(server)

    def put(method: str, params: Any, handler: Handler) -> None:
        before = low.get_request_handler(method)
        low.add_request_handler(
            method, params, _guarded(handler, before.handler if before else None)
        )

    put("tools/list", PaginatedRequestParams, tools.list)
    put("tools/call", CallToolRequestParams, tools.call)
    put("resources/list", PaginatedRequestParams, resources.list)
    put("resources/templates/list", PaginatedRequestParams, resources.templates)
    put("resources/read", ReadResourceRequestParams, resources.read)
    put("prompts/list", PaginatedRequestParams, prompts.list)
    put("prompts/get", GetPromptRequestParams, prompts.get)
    put("completion/complete", CompleteRequestParams, complete)
    put("subscriptions/listen", SubscriptionsListenRequestParams, _listen)
    server.middleware.append(_instructing(sandbox=sandbox))
    if (
        transport == "stdio"
    ):  # over HTTP nothing could reach a client of an older revision, so none is offered to watch
        put("resources/subscribe", SubscribeRequestParams, _subscribe)
        put("resources/unsubscribe", UnsubscribeRequestParams, _unsubscribe)
        server.middleware.append(
            _only({"initialize", "notifications/initialized"}, _welcome_old_clients)
        )


def _guarded(handler: Handler, sdk: Handler | None) -> Handler:
    """Errors become the protocol's, in our words; what the handler leaves alone goes to the SDK's own."""

    async def handle(ctx: Asked, params: Any) -> Any:
        try:
            result = await handler(ctx, params)
        except MCPError:
            raise
        except Exception as problem:  # noqa: BLE001 - named in the log, and the client gets an answer
            error = named(problem)
            code = INVALID_PARAMS if isinstance(error, NotFound | Invalid) else INTERNAL_ERROR
            text = redactor.clean(f"{error.what} {caller_of(ctx).view.text(error.advice)}".strip())
            uri = getattr(params, "uri", None)
            raise MCPError(code, text, None if uri is None else {"uri": str(uri)}) from None
        return await sdk(ctx, params) if result is None and sdk is not None else result

    return handle


async def _listen(
    ctx: Asked, params: SubscriptionsListenRequestParams
) -> SubscriptionsListenResult:
    add_call_facts(outcome="ok")  # that the client leaves is how a stream ends
    caller = caller_of(ctx)
    return await caller.app.notices.listen(ctx, params, caller.account, caller.view)


async def _subscribe(ctx: Asked, params: SubscribeRequestParams) -> EmptyResult:
    caller = caller_of(ctx)
    caller.app.notices.watch(caller.account, str(params.uri))
    return EmptyResult()


async def _unsubscribe(ctx: Asked, params: UnsubscribeRequestParams) -> EmptyResult:
    caller = caller_of(ctx)
    caller.app.notices.unwatch(caller.account, str(params.uri))
    return EmptyResult()


def _instructing(*, sandbox: bool) -> ServerMiddleware[ServerState]:
    """Middleware: what a model is told of this server names only what its caller has."""

    async def instructed(ctx: Asked, call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if isinstance(result, dict):
            result["instructions"] = instructions(caller_of(ctx).view, sandbox=sandbox)
        return result

    return _only({"initialize", "server/discover"}, instructed)


async def _welcome_old_clients(ctx: Asked, call_next: CallNext) -> HandlerResult:
    """Clients of the older revisions are told of changed lists without asking, and must be told that they will be."""
    result = await call_next(ctx)
    if ctx.method == "initialize" and isinstance(result, dict):
        for kind in ("resources", "prompts"):
            result["capabilities"][kind]["listChanged"] = True
    if ctx.method == "notifications/initialized":
        caller = caller_of(ctx)
        caller.app.notices.attach_legacy_client(ctx.session, caller.account)
    return result


def _only(
    methods: Collection[str], middleware: ServerMiddleware[ServerState]
) -> ServerMiddleware[ServerState]:
    """For these methods; the others go past it without as much as a frame on the stack."""

    def choosing(ctx: Asked, call_next: CallNext) -> Awaitable[HandlerResult]:
        return middleware(ctx, call_next) if ctx.method in methods else call_next(ctx)

    return choosing  # type: ignore[return-value]  # the protocol wants a coroutine function; what is awaited is the same
