"""Registers the handlers of all MCP methods on the SDK's server. Lists are per caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware
from mcp.server.lowlevel.server import Server
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
from devin_mcp.observability.printable import printable
from devin_mcp.observability.redaction import redactor
from devin_mcp.server.call_log import to_devin_error
from devin_mcp.server.completions import complete
from devin_mcp.server.context import RequestContext, ServerState, current_caller
from devin_mcp.server.instructions import instructions
from devin_mcp.server.prompts import PromptHandlers
from devin_mcp.server.rendering import error_text, printable_error
from devin_mcp.server.resources import ResourceHandlers
from devin_mcp.server.tools import ToolHandlers
from devin_mcp.server.visibility import Transport

Handler = Callable[[Any, Any], Awaitable[Any]]


def low_level_server(server: MCPServer[ServerState]) -> Server[ServerState]:
    """The SDK's server below MCPServer, whose handlers can be replaced.

    It is a private attribute; the SDK's own examples use it as well.
    """
    return server._lowlevel_server  # noqa: SLF001 - there is no public way


def register_handlers(
    server: MCPServer[ServerState], transport: Transport, *, sandbox: bool = False
) -> None:
    """Replace the SDK's handlers. Those list what was registered before the start; these list per
    caller, in pages.
    """
    low_level = low_level_server(server)
    tools, prompts = ToolHandlers(server), PromptHandlers(server)
    resources = ResourceHandlers(server)

    def register(method: str, params: Any, handler: Handler) -> None:
        replaced = low_level.get_request_handler(method)
        fallback = replaced.handler if replaced else None
        low_level.add_request_handler(method, params, _with_error_mapping(handler, fallback))

    register("tools/list", PaginatedRequestParams, tools.list)
    register("tools/call", CallToolRequestParams, tools.call)
    register("resources/list", PaginatedRequestParams, resources.list)
    register("resources/templates/list", PaginatedRequestParams, resources.templates)
    register("resources/read", ReadResourceRequestParams, resources.read)
    register("prompts/list", PaginatedRequestParams, prompts.list)
    register("prompts/get", GetPromptRequestParams, prompts.get)
    register("completion/complete", CompleteRequestParams, complete)
    register("subscriptions/listen", SubscriptionsListenRequestParams, _listen)
    # Over HTTP nothing could reach a client of an older revision, so it cannot subscribe there.
    has_legacy_subscriptions = transport == "stdio"
    if has_legacy_subscriptions:
        register("resources/subscribe", SubscribeRequestParams, resources.subscribe)
        register("resources/unsubscribe", UnsubscribeRequestParams, _unsubscribe)
    server.middleware.append(_handshake(sandbox=sandbox, legacy=has_legacy_subscriptions))


def _with_error_mapping(handler: Handler, fallback: Handler | None) -> Handler:
    """Maps errors to protocol errors. What the handler answers with None goes to the SDK's own."""

    async def handle(ctx: RequestContext, params: Any) -> Any:
        try:
            result = await handler(ctx, params)
        except MCPError:
            raise
        except Exception as problem:  # noqa: BLE001 - logged, and the client gets an error
            raise _protocol_error(problem, params) from None
        if result is not None or fallback is None:
            return result
        try:
            return printable_error(await fallback(ctx, params))
        except MCPError as error:  # repeats the name that the client gave
            raise MCPError(error.code, printable(error.message), error.data) from None

    return handle


def _protocol_error(problem: Exception, params: Any) -> MCPError:
    error = to_devin_error(problem)
    code = INVALID_PARAMS if isinstance(error, NotFound | Invalid) else INTERNAL_ERROR
    text = error_text(error, current_caller.get().visible)
    uri = getattr(params, "uri", None)
    return MCPError(code, text, None if uri is None else {"uri": redactor.clean(str(uri))})


async def _listen(
    ctx: RequestContext, params: SubscriptionsListenRequestParams
) -> SubscriptionsListenResult:
    add_call_facts(outcome="ok")  # a stream ends when its client leaves
    caller = current_caller.get()
    return await caller.state.subscriptions.listen(ctx, params, caller.identity.key, caller.visible)


async def _unsubscribe(_: RequestContext, params: UnsubscribeRequestParams) -> EmptyResult:
    caller = current_caller.get()
    caller.state.subscriptions.unsubscribe_uri(caller.identity.key, str(params.uri))
    return EmptyResult()


def _handshake(*, sandbox: bool, legacy: bool) -> ServerMiddleware[ServerState]:
    """Middleware: instructions name only the caller's tools; older clients get list changes.

    With `legacy`, clients of older revisions are notified of changed lists without a stream, and
    the capabilities say so.
    """

    async def handshake(ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        method = ctx.method
        if method in {"initialize", "server/discover"} and isinstance(result, dict):
            visible = current_caller.get().visible
            result["instructions"] = instructions(visible, sandbox=sandbox)
            if legacy and method == "initialize":
                for kind in ("resources", "prompts"):
                    result["capabilities"][kind]["listChanged"] = True
        elif legacy and method == "notifications/initialized":
            caller = current_caller.get()
            caller.state.subscriptions.attach_legacy_client(ctx.session, caller.identity.key)
        return result

    return handshake
